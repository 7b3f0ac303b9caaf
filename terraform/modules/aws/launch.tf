# What people, CI and the schedule may do, a policy each: attach them to your own roles.

resource "aws_iam_policy" "launch" {
  name        = "${var.name}-launch"
  description = "Launch, watch and stop runs"
  policy      = data.aws_iam_policy_document.launch.json
  tags        = local.tags
}

data "aws_iam_policy_document" "launch" {
  source_policy_documents = [
    data.aws_iam_policy_document.objects.json,
    data.aws_iam_policy_document.jobs.json,
  ]

  # To look whether the bucket is there asks for the right to list it, without a prefix.
  statement {
    sid       = "LookAtBucket"
    actions   = ["s3:ListBucket"]
    resources = [aws_s3_bucket.this.arn]
    condition {
      test     = "Null"
      variable = "s3:prefix"
      values   = ["true"]
    }
  }

  # What reap takes away is kept for 30 days as an old version; jobs may not even do that.
  statement {
    sid       = "RemoveRuns"
    actions   = ["s3:DeleteObject"]
    resources = ["${aws_s3_bucket.this.arn}/${var.prefix}/*"]
  }

  statement {
    sid       = "MakePipelines"
    actions   = ["sagemaker:CreatePipeline", "sagemaker:AddTags"]
    resources = ["${local.sagemaker}:pipeline/*"]
    condition {
      test     = "StringEquals"
      variable = "aws:RequestTag/trefoil:ground"
      values   = [var.name]
    }
  }

  statement {
    sid = "Pipelines"
    actions = [
      "sagemaker:DeletePipeline", "sagemaker:DescribePipeline", "sagemaker:ListTags",
      "sagemaker:StartPipelineExecution", "sagemaker:UpdatePipeline",
    ]
    resources = ["${local.sagemaker}:pipeline/*"]
    condition {
      test     = "StringEquals"
      variable = "aws:ResourceTag/trefoil:ground"
      values   = [var.name]
    }
  }

  statement {
    sid = "Executions"
    actions = [
      "sagemaker:DescribePipelineDefinitionForExecution", "sagemaker:DescribePipelineExecution",
      "sagemaker:ListPipelineExecutionSteps", "sagemaker:ListPipelineExecutions",
      "sagemaker:RetryPipelineExecution", "sagemaker:StopPipelineExecution",
    ]
    resources = ["${local.sagemaker}:pipeline/*"] # executions carry no tags
  }

  statement {
    sid       = "List"
    actions   = ["sagemaker:ListPipelines", "sagemaker:ListProcessingJobs", "sagemaker:ListTrainingJobs", "tag:GetResources"]
    resources = ["*"] # name no resource
  }

  statement {
    sid       = "PassPipelineRole"
    actions   = ["iam:PassRole"]
    resources = [aws_iam_role.pipeline.arn]
    condition {
      test     = "StringEquals"
      variable = "iam:PassedToService"
      values   = ["sagemaker.amazonaws.com"]
    }
  }

  statement {
    sid       = "Preflight"
    actions   = ["iam:GetRole"]
    resources = [for each in [aws_iam_role.pipeline, aws_iam_role.training, aws_iam_role.deploy, aws_iam_role.serving] : each.arn]
  }

  statement {
    sid       = "Quotas"
    actions   = ["servicequotas:GetServiceQuota", "servicequotas:ListServiceQuotas"]
    resources = ["*"] # read only
  }

  statement {
    sid       = "LookUpImages"
    actions   = ["ecr:DescribeImages"]
    resources = [for each in aws_ecr_repository.this : each.arn]
  }

  statement {
    sid       = "ReadLogs"
    actions   = ["logs:DescribeLogStreams", "logs:FilterLogEvents", "logs:GetLogEvents"]
    resources = ["${local.arn}:logs:${local.region}:${local.account}:log-group:/aws/sagemaker/*"]
  }
}

# Whoever promotes a model may deploy it, or roll back, as the step deploy does.
resource "aws_iam_policy" "endpoints" {
  name        = "${var.name}-endpoints"
  description = "Deploy, roll back and stop endpoints"
  policy      = data.aws_iam_policy_document.endpoints.json
  tags        = local.tags
}

# Whoever builds images pushes them; runs that are launched by the clock need not.
resource "aws_iam_policy" "push" {
  name        = "${var.name}-push"
  description = "Push images"
  policy      = data.aws_iam_policy_document.push.json
  tags        = local.tags
}

data "aws_iam_policy_document" "push" {
  statement {
    sid       = "Login"
    actions   = ["ecr:GetAuthorizationToken"]
    resources = ["*"] # names no resource
  }

  statement {
    sid = "Push"
    actions = [
      "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:CompleteLayerUpload", "ecr:DescribeImages",
      "ecr:GetDownloadUrlForLayer", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart",
    ]
    resources = [for each in aws_ecr_repository.this : each.arn]
  }
}
