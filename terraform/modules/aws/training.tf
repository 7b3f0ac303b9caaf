# The role of jobs: their data, their image, their logs, and nothing of SageMaker.

resource "aws_iam_role" "training" {
  name               = "${var.name}-training"
  description        = "What a step's container may do"
  assume_role_policy = data.aws_iam_policy_document.sagemaker.json
  tags               = local.tags
}

resource "aws_iam_role_policy" "training" {
  name   = "job"
  role   = aws_iam_role.training.id
  policy = data.aws_iam_policy_document.training.json
}

data "aws_iam_policy_document" "training" {
  source_policy_documents = [
    data.aws_iam_policy_document.objects.json,
    data.aws_iam_policy_document.container.json,
  ]
}
