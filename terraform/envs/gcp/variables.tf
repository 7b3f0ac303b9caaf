variable "project" {
  description = "The project that everything is in; it is there already, and somebody pays for it."
  type        = string
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
  description = "Under which prefix runs lie in the bucket."
  type        = string
  default     = "trefoil"
}

variable "expire_runs_after_days" {
  description = "When what a run left is deleted; 0 keeps it for good."
  type        = number
  default     = 0
}

variable "force_destroy" {
  description = "Whether terraform destroy may delete the bucket with what is in it."
  type        = bool
  default     = false
}

variable "network" {
  description = "The VPC network that jobs are peered with, by its full name; empty: Google's own network."
  type        = string
  default     = ""
}

variable "launchers" {
  description = "Who may launch runs, look after endpoints and push images: user:ADDRESS, group:ADDRESS or serviceAccount:ADDRESS."
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
    repository    = string
    environment   = string
    branch        = optional(string)
    repository_id = optional(string)
  })
  default = null
}

variable "schedule" {
  description = "When a run is launched by itself, and by which image, which holds this repository; null for never."
  type = object({
    expression = string
    timezone   = optional(string, "Etc/UTC")
    image      = string
    command    = list(string)
    memory     = optional(string, "2Gi")
    hours      = optional(number, 24)
  })
  default = null
}

variable "budget" {
  description = "The billing account, US dollars a month, and who is told when 80 % are spent, or all will be; null for no alarm."
  type = object({
    billing_account = string
    monthly_usd     = number
    emails          = list(string)
  })
  default = null
}

variable "labels" {
  description = "Labels of everything here, and of every job."
  type        = map(string)
  default     = {}
}
