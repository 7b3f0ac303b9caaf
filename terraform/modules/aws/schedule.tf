# A run that is launched by the clock: a small job whose command line is Trefoil's own.

resource "aws_scheduler_schedule" "this" {
  count                        = var.schedule == null ? 0 : 1
  name                         = var.name
  schedule_expression          = var.schedule.expression
  schedule_expression_timezone = var.schedule.timezone
  kms_key_arn                  = aws_kms_key.this.arn

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = "${local.arn}:scheduler:::aws-sdk:sagemaker:createProcessingJob"
    role_arn = aws_iam_role.schedule[0].arn
    # The scheduler fills in its own id: each time is a job of its own, and a repeated try is not.
    input = replace(jsonencode(merge({
      ProcessingJobName = "${var.name}-<aws.scheduler.execution-id>"
      RoleArn           = aws_iam_role.scheduled[0].arn
      AppSpecification = {
        ImageUri            = var.schedule.image
        ContainerEntrypoint = var.schedule.command
      }
      ProcessingResources = {
        ClusterConfig = {
          InstanceCount  = 1
          InstanceType   = var.schedule.instance_type
          VolumeSizeInGB = 30
          VolumeKmsKeyId = aws_kms_key.this.arn
        }
      }
      # Trefoil reads its settings from there.
      Environment       = local.environment
      StoppingCondition = { MaxRuntimeInSeconds = var.schedule.hours * 3600 }
      Tags              = [for key, value in local.tags : { Key = key, Value = value }]
      }, length(var.subnets) == 0 ? {} : {
      NetworkConfig = { VpcConfig = { Subnets = var.subnets, SecurityGroupIds = var.security_groups } }
    })), "/\\\\u003caws.scheduler.execution-id\\\\u003e/", "<aws.scheduler.execution-id>")

    retry_policy {
      maximum_retry_attempts = 3
    }
  }

  lifecycle {
    precondition {
      condition     = alltrue([for each in values(local.environment) : length(each) <= 256])
      error_message = "A job's variable has 256 characters at most: give fewer tags or subnets, or no schedule."
    }
  }
}

locals {
  environment = { for key, value in local.settings : "TREFOIL_${upper(key)}" => try(tostring(value), jsonencode(value)) }
}

# The scheduler itself starts this one job.
resource "aws_iam_role" "schedule" {
  count              = var.schedule == null ? 0 : 1
  name               = "${var.name}-schedule"
  description        = "What the clock may start"
  assume_role_policy = data.aws_iam_policy_document.scheduler.json
  tags               = local.tags
}

data "aws_iam_policy_document" "scheduler" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["scheduler.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }
  }
}

resource "aws_iam_role_policy" "schedule" {
  count  = var.schedule == null ? 0 : 1
  name   = "schedule"
  role   = aws_iam_role.schedule[0].id
  policy = data.aws_iam_policy_document.schedule[0].json
}

data "aws_iam_policy_document" "schedule" {
  count = var.schedule == null ? 0 : 1

  statement {
    sid       = "Start"
    actions   = ["sagemaker:CreateProcessingJob", "sagemaker:AddTags"]
    resources = ["${local.sagemaker}:processing-job/${var.name}-*"]
  }

  statement {
    sid       = "PassRole"
    actions   = ["iam:PassRole"]
    resources = [aws_iam_role.scheduled[0].arn]
    condition {
      test     = "StringEquals"
      variable = "iam:PassedToService"
      values   = ["sagemaker.amazonaws.com"]
    }
  }

  statement {
    sid       = "Key"
    actions   = ["kms:Decrypt", "kms:DescribeKey"]
    resources = [aws_kms_key.this.arn]
  }

  statement {
    sid       = "Disks"
    actions   = ["kms:CreateGrant"]
    resources = [aws_kms_key.this.arn]
    condition {
      test     = "Bool"
      variable = "kms:GrantIsForAWSResource"
      values   = ["true"]
    }
  }
}

# And the job launches a run as a person would.
resource "aws_iam_role" "scheduled" {
  count              = var.schedule == null ? 0 : 1
  name               = "${var.name}-scheduled"
  description        = "What a job that the clock started may do"
  assume_role_policy = data.aws_iam_policy_document.sagemaker.json
  tags               = local.tags
}

resource "aws_iam_role_policy" "scheduled" {
  count  = var.schedule == null ? 0 : 1
  name   = "container"
  role   = aws_iam_role.scheduled[0].id
  policy = data.aws_iam_policy_document.container.json
}

resource "aws_iam_role_policy_attachment" "scheduled" {
  count      = var.schedule == null ? 0 : 1
  role       = aws_iam_role.scheduled[0].name
  policy_arn = aws_iam_policy.launch.arn
}
