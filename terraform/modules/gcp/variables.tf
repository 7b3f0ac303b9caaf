variable "project" {
  description = "The project that everything is in; it is there already, and somebody pays for it."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "project is a project's id, such as my-models-123456, not its name or number."
  }
}

variable "region" {
  description = "Where everything is."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region is one of Google's, such as europe-west4, not a zone and not a multi-region."
  }
}

variable "name" {
  description = "What everything here is called, and begins with."
  type        = string
  default     = "trefoil"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,18}[a-z0-9]$", var.name)) && !startswith(var.name, "gcp-") && !startswith(var.name, "goog")
    error_message = "name begins with a letter and has 3 to 20 small letters, digits and hyphens: \"trefoil\", say. gcp- and goog are Google's own."
  }
}

variable "prefix" {
  description = "Under which prefix runs lie in the bucket."
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

variable "force_destroy" {
  description = "Whether terraform destroy may delete the bucket with what is in it."
  type        = bool
  default     = false
}

variable "network" {
  description = "The VPC network that jobs are peered with, by its full name; empty: Google's own network."
  type        = string
  default     = ""

  validation {
    condition     = var.network == "" || can(regex("^projects/[0-9]+/global/networks/[a-z][a-z0-9-]*$", var.network))
    error_message = "network is projects/NUMBER/global/networks/NAME, with the project's number."
  }
}

variable "launchers" {
  description = "Who may launch runs, look after endpoints and push images: user:ADDRESS, group:ADDRESS or serviceAccount:ADDRESS."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for each in var.launchers : can(regex("^(user|group|serviceAccount):[^@ ]+@[^@ ]+$", each))])
    error_message = "Each of launchers is user:, group: or serviceAccount: and an address: never everybody, nor a whole domain."
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
    repository    = string
    environment   = string
    branch        = optional(string)
    repository_id = optional(string)
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

  validation {
    condition     = try(var.ci.repository_id, null) == null || can(regex("^[0-9]+$", var.ci.repository_id))
    error_message = "ci.repository_id is the number that GitHub gave the repository."
  }
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
  description = "The billing account, US dollars a month, and who is told when 80 % are spent, or all will be; null for no alarm."
  type = object({
    billing_account = string
    monthly_usd     = number
    emails          = list(string)
  })
  default = null

  validation {
    condition     = var.budget == null || can(regex("^[0-9A-F]{6}(-[0-9A-F]{6}){2}$", var.budget.billing_account))
    error_message = "budget.billing_account is an id such as 012345-6789AB-CDEF01."
  }

  validation {
    condition     = var.budget == null || try(var.budget.monthly_usd > 0 && length(var.budget.emails) > 0 && alltrue([for each in var.budget.emails : strcontains(each, "@")]), false)
    error_message = "budget has monthly_usd above 0, and at least one address in emails."
  }

  validation {
    condition     = var.budget == null || try(floor(var.budget.monthly_usd) == var.budget.monthly_usd && length(var.budget.emails) <= 5, false)
    error_message = "budget.monthly_usd is in whole dollars, and Google tells five addresses at most."
  }
}

variable "labels" {
  description = "Labels of everything here, and of every job."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for key, value in var.labels : can(regex("^[a-z][a-z0-9_-]{0,62}$", key)) && can(regex("^[a-z0-9_-]{0,63}$", value))])
    error_message = "A label has small letters, digits, _ and -, in its name and its value; the name begins with a letter."
  }

  validation {
    condition     = alltrue([for key in keys(var.labels) : !startswith(key, "goog") && !startswith(key, "trefoil-")])
    error_message = "A label of yours does not begin with goog or trefoil-, which are taken."
  }

  validation {
    condition     = length(var.labels) <= 54
    error_message = "54 labels at most: a job has 64, and some are Trefoil's."
  }
}
