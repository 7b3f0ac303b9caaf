# `terraform test` with a provider that is made up: what would be planned, and what is refused.

mock_provider "aws" {
  override_during = plan

  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_region" {
    defaults = { name = "eu-west-1" }
  }
  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/mocked" }
  }
  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:eu-west-1:123456789012:key/mocked" }
  }
}

run "what_is_made_by_default" {
  command = plan

  assert {
    condition     = output.settings.bucket == "trefoil-123456789012-eu-west-1"
    error_message = "A bucket's name is shared by the whole world: it holds account and region."
  }
  assert {
    condition     = output.settings.tags["trefoil:ground"] == "trefoil"
    error_message = "The roles may touch only what carries this tag."
  }
  assert {
    condition     = length(aws_iam_role.ci) + length(aws_scheduler_schedule.this) + length(aws_budgets_budget.this) == 0
    error_message = "CI, schedule and budget are made for those who ask."
  }
  assert {
    condition     = alltrue([for each in aws_ecr_repository.this : each.image_tag_mutability == "IMMUTABLE"])
    error_message = "A tag that can be moved would run another image than was tested."
  }
  assert {
    condition     = aws_kms_key.this.enable_key_rotation
    error_message = "The key is rotated."
  }
}

run "ci_by_one_environment_of_one_repository" {
  command = plan
  variables {
    ci = { repository = "me/my-models", environment = "production" }
  }

  assert {
    condition     = anytrue([for each in data.aws_iam_policy_document.ci[0].statement[0].condition : each.test == "StringEquals" && each.values == tolist(["repo:me/my-models:environment:production"])])
    error_message = "Another branch or a fork could take on the role."
  }
  assert {
    condition     = length(aws_iam_openid_connect_provider.github) == 1
    error_message = "GitHub's identity provider is made."
  }
}

run "ci_by_one_branch" {
  command = plan
  variables {
    ci = { repository = "me/my-models", environment = "production", branch = "main" }
  }

  assert {
    condition     = anytrue([for each in data.aws_iam_policy_document.ci[0].statement[0].condition : each.test == "StringEquals" && each.values == tolist(["repo:me/my-models:environment:production:ref:refs/heads/main"])])
    error_message = "A branch that the environment lets in could take on the role."
  }
}

run "an_account_has_one_identity_provider" {
  command = plan
  variables {
    ci = {
      repository   = "me/my-models"
      environment  = "production"
      provider_arn = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"
    }
  }

  assert {
    condition     = length(aws_iam_openid_connect_provider.github) == 0
    error_message = "A second provider of the same URL is refused by AWS."
  }
}

run "each_time_on_schedule_is_a_job_of_its_own" {
  command = plan
  variables {
    schedule = {
      expression = "cron(0 3 ? * MON *)"
      image      = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/me@sha256:${sha256("image")}"
      command    = ["python", "-m", "pipelines.run", "--provider", "aws"]
    }
  }

  assert {
    condition     = jsondecode(aws_scheduler_schedule.this[0].target[0].input).ProcessingJobName == "trefoil-<aws.scheduler.execution-id>"
    error_message = "The scheduler fills in its id only where it finds it, unescaped."
  }
  assert {
    condition     = strcontains(aws_scheduler_schedule.this[0].target[0].input, "<aws.scheduler.execution-id>")
    error_message = "JSON's own way of writing < would keep the scheduler from finding it."
  }
  assert {
    condition     = !can(jsondecode(aws_scheduler_schedule.this[0].target[0].input).NetworkConfig)
    error_message = "Without subnets there is no network to name."
  }
}

run "runs_that_expire" {
  command = plan
  variables {
    expire_runs_after_days = 90
  }

  assert {
    condition     = one([for each in aws_s3_bucket_lifecycle_configuration.this.rule : each.expiration[0].days if each.id == "runs"]) == 90
    error_message = "What runs leave is deleted after 90 days."
  }
}

run "bad_names" {
  command = plan
  variables {
    name   = "My_Models"
    prefix = "/runs/"
    images = ["Trainer"]
    tags   = { "trefoil:run" = "mine" }
  }
  expect_failures = [var.name, var.prefix, var.images, var.tags]
}

run "a_bad_subnet" {
  command = plan
  variables {
    subnets = ["10.0.0.0/24"]
  }
  expect_failures = [var.subnets]
}

run "a_bad_security_group" {
  command = plan
  variables {
    subnets         = ["subnet-0123456789abcdef0"]
    security_groups = ["default"]
  }
  expect_failures = [var.security_groups]
}

run "a_network_without_a_guard" {
  command = plan
  variables {
    subnets = ["subnet-0123456789abcdef0"]
  }
  expect_failures = [var.security_groups]
}

run "bad_numbers" {
  command = plan
  variables {
    image_count            = 1
    expire_runs_after_days = 0.5
    budget                 = { monthly_usd = 0, emails = ["me@example.com"] }
  }
  expect_failures = [var.image_count, var.expire_runs_after_days, var.budget]
}

run "a_wildcard_in_who_may_launch" {
  command = plan
  variables {
    ci = { repository = "me/*", environment = "*" }
  }
  expect_failures = [var.ci]
}

run "a_schedule_that_could_change_under_us" {
  command = plan
  variables {
    schedule = { expression = "rate(1 day)", image = "me:latest", command = ["python"] }
  }
  expect_failures = [var.schedule]
}

run "a_branch_by_a_pattern" {
  command = plan
  variables {
    ci = { repository = "me/my-models", environment = "production", branch = "release/*" }
  }
  expect_failures = [var.ci]
}

run "a_schedule_longer_than_a_job_may_run" {
  command = plan
  variables {
    schedule = { expression = "rate(1 day)", image = "me@sha256:${sha256("image")}", command = ["python"], hours = 121 }
  }
  expect_failures = [var.schedule]
}

run "a_schedule_on_no_machine_of_sagemakers" {
  command = plan
  variables {
    schedule = { expression = "rate(1 day)", image = "me@sha256:${sha256("image")}", command = ["python"], instance_type = "t3.medium" }
  }
  expect_failures = [var.schedule]
}

run "a_schedule_of_nothing" {
  command = plan
  variables {
    schedule = { expression = "rate(1 day)", image = "me@sha256:${sha256("image")}", command = [] }
  }
  expect_failures = [var.schedule]
}

run "a_login_in_an_address" {
  command = plan
  variables {
    tracking_uri = "https://me:secret@mlflow.example.com"
    experiment   = ""
  }
  expect_failures = [var.tracking_uri, var.experiment]
}
