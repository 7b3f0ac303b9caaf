variable "region" {
  description = "Where everything is."
  type        = string

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region is one of AWS's, such as eu-west-1."
  }
}

variable "name" {
  description = "What everything here is called, and begins with."
  type        = string
  default     = "trefoil"
}

variable "prefix" {
  description = "Under which key prefix runs lie in the bucket."
  type        = string
  default     = "trefoil"
}

variable "images" {
  description = "The image repositories to make, by the names that pipelines give them."
  type        = set(string)
  default     = ["trefoil-trainer", "trefoil-server"]
}

variable "image_count" {
  description = "How many images of each name are kept, the newest."
  type        = number
  default     = 30
}

variable "expire_runs_after_days" {
  description = "When what a run left is deleted; 0 keeps it for good."
  type        = number
  default     = 0
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
}

variable "security_groups" {
  description = "Security groups for the jobs; needed where subnets are given."
  type        = list(string)
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
    repository   = string
    environment  = string
    branch       = optional(string)
    provider_arn = optional(string)
  })
  default = null
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
}

variable "budget" {
  description = "US dollars a month, and who is told when 80 % are spent, or all will be; null for no alarm."
  type = object({
    monthly_usd = number
    emails      = list(string)
  })
  default = null
}

variable "tags" {
  description = "Tags of everything here, and of every job."
  type        = map(string)
  default     = {}
}
