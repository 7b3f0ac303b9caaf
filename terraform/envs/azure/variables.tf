variable "subscription" {
  description = "The id of the subscription that everything is in."
  type        = string

  validation {
    condition     = can(regex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", var.subscription))
    error_message = "subscription is an id such as 01234567-89ab-cdef-0123-456789abcdef, not a name."
  }
}

variable "region" {
  description = "Where everything is."
  type        = string
}

variable "name" {
  description = "What everything here is called, and begins with."
  type        = string
  default     = "trefoil"
}

variable "prefix" {
  description = "Under which prefix runs lie in the container."
  type        = string
  default     = "trefoil"
}

variable "expire_runs_after_days" {
  description = "When what a run left is deleted; 0 keeps it for good."
  type        = number
  default     = 0
}

variable "instance_type" {
  description = "The machines of the clusters; a step that asks for others runs on serverless ones."
  type        = string
  default     = "Standard_DS3_v2"
}

variable "max_nodes" {
  description = "How many machines a cluster has at most."
  type        = number
  default     = 4
}

variable "subnet" {
  description = "The subnet of the clusters' machines, by its full id; null: Azure's own network."
  type        = string
  default     = null
}

variable "launchers" {
  description = "Who may launch runs, look after endpoints and push images: people or groups by their object id in Entra ID."
  type        = set(string)
  default     = []
}

variable "tracking_uri" {
  description = "The MLflow server that jobs report to; none reports nowhere."
  type        = string
  default     = "none"
}

variable "experiment" {
  description = "The experiment in MLflow."
  type        = string
  default     = "trefoil"
}

variable "ci" {
  description = "The repository on GitHub whose workflows, in one of its environments, may launch runs, and from which branch alone; null for none."
  type = object({
    repository  = string
    environment = string
    branch      = optional(string)
  })
  default = null
}

variable "schedule" {
  description = "When (UTC) a run is launched by itself, and by which image, which holds this repository; null for never."
  type = object({
    expression = string
    image      = string
    command    = list(string)
    memory     = optional(string, "2Gi")
    hours      = optional(number, 24)
  })
  default = null
}

variable "budget" {
  description = "How much a month, in the subscription's currency, and who is told when 80 % are spent, or all will be; null for no alarm."
  type = object({
    monthly = number
    emails  = list(string)
  })
  default = null
}

variable "autoscale" {
  description = "Endpoints that get more machines when more is asked, by name: of which deployment, which is one version's (v3-0123456789), how many, and one for how many requests a minute."
  type = map(object({
    deployment = string
    minimum    = optional(number, 1)
    maximum    = number
    requests   = optional(number, 600)
  }))
  default = {}
}

variable "tags" {
  description = "Tags of everything here, and of every job."
  type        = map(string)
  default     = {}
}
