variable "region" {
  description = "Where everything is."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+[0-9]?$", var.region))
    error_message = "region is one of Azure's by its short name, such as westeurope."
  }
}

variable "name" {
  description = "What everything here is called, and begins with."
  type        = string
  default     = "trefoil"

  validation {
    condition     = can(regex("^[a-z]([a-z0-9]|-[a-z0-9]){2,15}$", var.name)) && length(var.name) <= 16
    error_message = "name begins with a letter and has 3 to 16 small letters, digits and single hyphens: \"trefoil\", say."
  }
}

variable "prefix" {
  description = "Under which prefix runs lie in the container."
  type        = string
  default     = "trefoil"

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$", var.prefix))
    error_message = "prefix is one or more names with / between them, without one at its ends."
  }
}

variable "expire_runs_after_days" {
  description = "When what a run left is deleted; 0 keeps it for good."
  type        = number
  default     = 0

  validation {
    condition     = var.expire_runs_after_days >= 0 && floor(var.expire_runs_after_days) == var.expire_runs_after_days
    error_message = "expire_runs_after_days is a whole number of days, or 0 to keep runs for good."
  }
}

variable "instance_type" {
  description = "The machines of the clusters; a step that asks for others runs on serverless ones."
  type        = string
  default     = "Standard_DS3_v2"

  validation {
    condition     = can(regex("^Standard_[A-Za-z0-9_]+$", var.instance_type))
    error_message = "instance_type is one of Azure's sizes, such as Standard_DS3_v2."
  }
}

variable "max_nodes" {
  description = "How many machines a cluster has at most."
  type        = number
  default     = 4

  validation {
    condition     = var.max_nodes >= 1 && floor(var.max_nodes) == var.max_nodes
    error_message = "max_nodes is a whole number, 1 or more."
  }
}

variable "subnet" {
  description = "The subnet of the clusters' machines, by its full id; null: Azure's own network."
  type        = string
  default     = null

  validation {
    condition     = var.subnet == null || can(regex("^/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft.Network/virtualNetworks/[^/]+/subnets/[^/]+$", var.subnet))
    error_message = "subnet is /subscriptions/.../virtualNetworks/NAME/subnets/NAME."
  }
}

variable "launchers" {
  description = "Who may launch runs, look after endpoints and push images: people or groups by their object id in Entra ID."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for each in var.launchers : can(regex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", each))])
    error_message = "Each of launchers is an object id such as 01234567-89ab-cdef-0123-456789abcdef, not an address."
  }
}

variable "tracking_uri" {
  description = "The MLflow server that jobs report to; none reports nowhere."
  type        = string
  default     = "none"

  validation {
    condition     = var.tracking_uri == "none" || can(regex("^https://[^@/]+(/.*)?$", var.tracking_uri))
    error_message = "tracking_uri is none, or begins with https:// and has no login in it: that goes to jobs as secrets."
  }
}

variable "experiment" {
  description = "The experiment in MLflow."
  type        = string
  default     = "trefoil"

  validation {
    condition     = length(var.experiment) > 0
    error_message = "experiment is a name, not empty."
  }
}

variable "ci" {
  description = "The repository on GitHub whose workflows, in one of its environments, may launch runs, and from which branch alone; null for none."
  type = object({
    repository  = string
    environment = string
    branch      = optional(string)
  })
  default = null

  validation {
    condition     = var.ci == null || can(regex("^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$", var.ci.repository))
    error_message = "ci.repository is OWNER/NAME, without a wildcard."
  }

  validation {
    condition     = var.ci == null || can(regex("^[A-Za-z0-9._-]+$", var.ci.environment))
    error_message = "ci.environment is the name of one of the repository's environments, without a wildcard."
  }

  validation {
    condition     = try(var.ci.branch, null) == null || can(regex("^[A-Za-z0-9._/-]+$", var.ci.branch))
    error_message = "ci.branch is the name of one branch, such as main, without a wildcard."
  }
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

  validation {
    condition     = var.schedule == null || can(regex("^\\S+( \\S+){4}$", var.schedule.expression))
    error_message = "schedule.expression is cron's minute, hour, day, month and weekday: 0 3 * * 1, say."
  }

  validation {
    condition     = var.schedule == null || can(regex("@sha256:[0-9a-f]{64}$", var.schedule.image))
    error_message = "schedule.image is named by its digest: REGISTRY/NAME@sha256:..."
  }

  validation {
    condition     = var.schedule == null || try(length(var.schedule.command) > 0, false)
    error_message = "schedule.command is a program and its arguments."
  }

  validation {
    condition     = var.schedule == null || try(var.schedule.hours > 0 && var.schedule.hours <= 168, false)
    error_message = "schedule.hours is above 0, and 168 at most."
  }
}

variable "budget" {
  description = "How much a month, in the subscription's currency, and who is told when 80 % are spent, or all will be; null for no alarm."
  type = object({
    monthly = number
    emails  = list(string)
  })
  default = null

  validation {
    condition     = var.budget == null || try(var.budget.monthly > 0 && length(var.budget.emails) > 0 && alltrue([for each in var.budget.emails : strcontains(each, "@")]), false)
    error_message = "budget has monthly above 0, and at least one address in emails."
  }
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

  validation {
    condition     = alltrue([for name in keys(var.autoscale) : can(regex("^[a-z][a-z0-9-]{1,30}[a-z0-9]$", name))])
    error_message = "autoscale goes by the name of an endpoint: 3 to 32 small letters, digits and hyphens."
  }

  validation {
    condition     = alltrue([for each in values(var.autoscale) : each.minimum >= 1 && each.maximum >= each.minimum && each.requests > 0])
    error_message = "autoscale has a minimum of 1 or more, a maximum not below it, and requests above 0."
  }
}

variable "tags" {
  description = "Tags of everything here, and of every job."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for key, value in var.tags : can(regex("^[^<>%&\\\\?/]{1,512}$", key)) && length(value) <= 256])
    error_message = "A tag's name has no < > % & \\ ? or /, and its value 256 characters at most."
  }

  validation {
    condition     = alltrue([for key in keys(var.tags) : !startswith(lower(key), "microsoft") && !startswith(lower(key), "azure") && !startswith(lower(key), "windows") && !startswith(key, "trefoil.")])
    error_message = "A tag of yours does not begin with microsoft, azure, windows or trefoil., which are taken."
  }

  validation {
    condition     = length(var.tags) <= 14
    error_message = "14 tags at most: an autoscale setting has 15, and one is Trefoil's."
  }
}
