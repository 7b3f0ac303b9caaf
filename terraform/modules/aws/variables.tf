variable "name" {
  description = "What everything here is called, and begins with."
  type        = string
  default     = "trefoil"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,19}$", var.name))
    error_message = "name begins with a letter and has 2 to 20 small letters, digits and hyphens: \"trefoil\", say."
  }
}

variable "prefix" {
  description = "Under which key prefix runs lie in the bucket."
  type        = string
  default     = "trefoil"

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$", var.prefix))
    error_message = "prefix is one or more names with / between them, without one at its ends."
  }
}

variable "images" {
  description = "The image repositories to make, by the names that pipelines give them."
  type        = set(string)
  default     = ["trefoil-trainer", "trefoil-server"]

  validation {
    condition     = alltrue([for each in var.images : can(regex("^[a-z0-9]+([._/-][a-z0-9]+)*$", each))])
    error_message = "An image's name has small letters, digits, and single . _ - or / between them."
  }
}

variable "image_count" {
  description = "How many images of each name are kept, the newest."
  type        = number
  default     = 30

  validation {
    condition     = var.image_count >= 2 && floor(var.image_count) == var.image_count
    error_message = "image_count is a whole number, 2 or more: a rollback needs the image before."
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
  description = "Whether terraform destroy may delete the bucket and the images with what is in them."
  type        = bool
  default     = false
}

variable "subnets" {
  description = "Private subnets for the jobs; they must reach S3, ECR, CloudWatch Logs and SageMaker. Empty: SageMaker's own network."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for each in var.subnets : can(regex("^subnet-[0-9a-f]{8,17}$", each))])
    error_message = "Each of subnets is an id such as subnet-0123456789abcdef0."
  }
}

variable "security_groups" {
  description = "Security groups for the jobs; needed where subnets are given."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for each in var.security_groups : can(regex("^sg-[0-9a-f]{8,17}$", each))])
    error_message = "Each of security_groups is an id such as sg-0123456789abcdef0."
  }

  validation {
    condition     = (length(var.subnets) == 0) == (length(var.security_groups) == 0)
    error_message = "subnets and security_groups go together: give both, or none."
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
    repository   = string
    environment  = string
    branch       = optional(string)
    provider_arn = optional(string)
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
  description = "When a run is launched by itself, and by which image, which holds this repository; null for never."
  type = object({
    expression    = string
    timezone      = optional(string, "UTC")
    image         = string
    command       = list(string)
    instance_type = optional(string, "ml.t3.medium")
    hours         = optional(number, 24)
  })
  default = null

  validation {
    condition     = var.schedule == null || can(regex("^(rate|cron)\\(.+\\)$", var.schedule.expression))
    error_message = "schedule.expression is rate(7 days), or cron(0 3 ? * MON *), say."
  }

  validation {
    condition     = var.schedule == null || can(regex("@sha256:[0-9a-f]{64}$", var.schedule.image))
    error_message = "schedule.image is named by its digest: REGISTRY/NAME@sha256:..."
  }

  validation {
    condition     = var.schedule == null || try(length(var.schedule.command) > 0 && alltrue([for each in var.schedule.command : length(each) <= 256]), false)
    error_message = "schedule.command is a program and its arguments, each of 256 characters at most."
  }

  validation {
    condition     = var.schedule == null || try(startswith(var.schedule.instance_type, "ml."), false)
    error_message = "schedule.instance_type is one of SageMaker's, such as ml.t3.medium."
  }

  validation {
    condition     = var.schedule == null || try(var.schedule.hours > 0 && var.schedule.hours <= 120, false)
    error_message = "schedule.hours is above 0, and 120 at most."
  }
}

variable "budget" {
  description = "US dollars a month, and who is told when 80 % are spent, or all will be; null for no alarm."
  type = object({
    monthly_usd = number
    emails      = list(string)
  })
  default = null

  validation {
    condition     = var.budget == null || try(var.budget.monthly_usd > 0 && length(var.budget.emails) > 0 && alltrue([for each in var.budget.emails : strcontains(each, "@")]), false)
    error_message = "budget has monthly_usd above 0, and at least one address in emails."
  }
}

variable "tags" {
  description = "Tags of everything here, and of every job."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for key in keys(var.tags) : !startswith(key, "aws:") && !startswith(key, "trefoil:")])
    error_message = "A tag of yours does not begin with aws: or trefoil:, which are taken."
  }

  validation {
    condition     = length(var.tags) <= 40
    error_message = "40 tags at most: a job has 50, and some are Trefoil's."
  }
}
