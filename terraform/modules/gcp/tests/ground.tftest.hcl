# `terraform test` with a provider that is made up: what would be made, and what is refused.

mock_provider "google" {
  mock_data "google_project" {
    defaults = { number = "123456789012" }
  }
}

variables {
  project = "my-models-123456"
  region  = "europe-west4"
}

run "what_is_made_by_default" {
  assert {
    condition     = output.settings.bucket == "trefoil-my-models-123456"
    error_message = "A bucket's name is shared by the whole world: it holds the project."
  }
  assert {
    condition     = output.settings.registry == "europe-west4-docker.pkg.dev/my-models-123456/trefoil"
    error_message = "Images would be looked for where none is pushed."
  }
  assert {
    condition     = output.settings.labels["trefoil-ground"] == "trefoil"
    error_message = "What is ours is told from others' by this label."
  }
  assert {
    condition     = output.ci == null && length(google_cloud_scheduler_job.this) + length(google_cloud_run_v2_job.this) + length(google_billing_budget.this) == 0
    error_message = "CI, schedule and budget are made for those who ask."
  }
  assert {
    condition     = toset(keys(google_project_service.this)) == toset(["aiplatform", "artifactregistry", "cloudkms", "iam", "iamcredentials", "logging", "storage"])
    error_message = "What is not used is not enabled."
  }
  assert {
    condition     = google_artifact_registry_repository.this.docker_config[0].immutable_tags
    error_message = "A tag that can be moved would run another image than was tested."
  }
  assert {
    condition     = google_kms_crypto_key.this.rotation_period == "7776000s"
    error_message = "The key is rotated."
  }
  assert {
    condition     = google_storage_bucket.this.public_access_prevention == "enforced" && google_storage_bucket.this.uniform_bucket_level_access && google_storage_bucket.this.versioning[0].enabled
    error_message = "The bucket is private, and keeps what is written over."
  }
  assert {
    condition     = google_storage_bucket.this.encryption[0].default_kms_key_name == google_kms_crypto_key.this.id && google_artifact_registry_repository.this.kms_key_name == google_kms_crypto_key.this.id
    error_message = "Bucket and images are encrypted with the key."
  }
  assert {
    condition     = google_kms_crypto_key_iam_member.services["vertex_ai"].member == "serviceAccount:service-123456789012@gcp-sa-aiplatform.iam.gserviceaccount.com"
    error_message = "Vertex AI could not encrypt a job's disk."
  }
  assert {
    condition     = length(google_project_iam_member.launch) == 0 && keys(google_project_iam_member.endpoints) == ["deploy"]
    error_message = "Nobody may launch who was not named."
  }
}

run "ci_by_one_environment_of_one_repository" {
  variables {
    ci = { repository = "me/my-models", environment = "production" }
  }

  assert {
    condition     = google_iam_workload_identity_pool_provider.github[0].attribute_condition == "assertion.sub == \"repo:me/my-models:environment:production\""
    error_message = "Another branch or a fork could sign in."
  }
  assert {
    condition     = google_service_account_iam_member.ci[0].member == "principal://iam.googleapis.com/${google_iam_workload_identity_pool.github[0].name}/subject/repo:me/my-models:environment:production"
    error_message = "The account is for this one subject, not for a set of them."
  }
  assert {
    condition     = google_service_account_iam_member.ci[0].service_account_id == google_service_account.ci[0].name
    error_message = "And it is the account of CI."
  }
  assert {
    condition     = output.ci.service_account == google_service_account.ci[0].email
    error_message = "A workflow is told the account that it signs in as."
  }
  assert {
    condition     = contains(keys(google_project_iam_member.launch), "ci") && contains(keys(google_artifact_registry_repository_iam_member.push), "ci")
    error_message = "CI launches runs, and pushes images."
  }
}

run "a_repository_by_its_number" {
  variables {
    ci = { repository = "me/my-models", environment = "production", repository_id = "42" }
  }

  assert {
    condition     = google_iam_workload_identity_pool_provider.github[0].attribute_condition == "assertion.sub == \"repo:me/my-models:environment:production\" && assertion.repository_id == \"42\""
    error_message = "Whoever takes over a name that was given up could sign in."
  }
}

run "launchers_may_use_three_accounts" {
  variables {
    launchers = ["group:ml@example.com"]
  }

  assert {
    condition     = toset([for each in google_service_account_iam_member.launch : each.role]) == toset(["roles/iam.serviceAccountUser"]) && length(google_service_account_iam_member.launch) == 3
    error_message = "Whoever can use any account has all of its rights."
  }
  assert {
    condition     = google_storage_bucket_iam_member.write["group:ml@example.com"].condition[0].expression == "resource.name.startsWith(\"projects/_/buckets/trefoil-my-models-123456/objects/trefoil/\")"
    error_message = "A run writes under its prefix, and nowhere else."
  }
}

run "the_clock_starts_one_job" {
  variables {
    schedule = {
      expression = "0 3 * * 1"
      image      = "europe-west4-docker.pkg.dev/my-models-123456/trefoil/me@sha256:${sha256("image")}"
      command    = ["python", "-m", "pipelines.run", "--provider", "gcp"]
    }
  }

  assert {
    condition     = google_cloud_scheduler_job.this[0].http_target[0].uri == "https://run.googleapis.com/v2/${google_cloud_run_v2_job.this[0].id}:run"
    error_message = "The clock would start another job, or none."
  }
  assert {
    condition     = google_cloud_scheduler_job.this[0].retry_config[0].retry_count == 0 && google_cloud_run_v2_job.this[0].template[0].template[0].max_retries == 0
    error_message = "A repeated try would be a second run."
  }
  assert {
    condition     = google_cloud_run_v2_job_iam_member.schedule[0].role == "roles/run.invoker" && google_cloud_run_v2_job_iam_member.schedule[0].member == google_service_account.schedule[0].member
    error_message = "The clock's own account may start this job, and nothing else."
  }
  assert {
    condition     = google_cloud_run_v2_job.this[0].template[0].template[0].service_account == google_service_account.scheduled[0].email
    error_message = "The job launches with an account of its own."
  }
  assert {
    condition     = { for each in google_cloud_run_v2_job.this[0].template[0].template[0].containers[0].env : each.name => each.value }["TREFOIL_BUCKET"] == output.settings.bucket
    error_message = "The job would launch a run without settings."
  }
  assert {
    condition     = jsondecode({ for each in google_cloud_run_v2_job.this[0].template[0].template[0].containers[0].env : each.name => each.value }["TREFOIL_STEP_ACCOUNTS"]) == output.settings.step_accounts
    error_message = "A table among the settings is JSON in the environment."
  }
  assert {
    condition     = !contains(keys(google_artifact_registry_repository_iam_member.push), "scheduled")
    error_message = "What the clock starts pushes no images."
  }
}

run "runs_that_expire" {
  variables {
    expire_runs_after_days = 90
  }

  assert {
    condition     = one([for each in google_storage_bucket.this.lifecycle_rule : one(each.condition).age if one(each.condition).matches_prefix == tolist(["trefoil/runs/"])]) == 90
    error_message = "What runs leave is deleted after 90 days."
  }
}

run "an_alarm_over_money" {
  variables {
    budget = { billing_account = "012345-6789AB-CDEF01", monthly_usd = 200, emails = ["me@example.com"] }
  }

  assert {
    condition     = google_billing_budget.this[0].budget_filter[0].projects == toset(["projects/123456789012"]) && google_billing_budget.this[0].amount[0].specified_amount[0].units == "200"
    error_message = "It is this project's money that is watched."
  }
  assert {
    condition     = google_monitoring_notification_channel.budget["me@example.com"].labels.email_address == "me@example.com"
    error_message = "Nobody would be told."
  }
}

run "bad_names" {
  command = plan
  variables {
    project    = "My Models"
    region     = "europe-west4-a"
    name       = "My_Models"
    prefix     = "/runs/"
    network    = "default"
    experiment = ""
    labels     = { "trefoil-run" = "mine" }
  }
  expect_failures = [var.project, var.region, var.name, var.prefix, var.network, var.experiment, var.labels]
}

run "more_bad_names_and_numbers" {
  command = plan
  variables {
    name                   = "gcp-models"
    labels                 = { team = "Digits" }
    expire_runs_after_days = 0.5
    budget                 = { billing_account = "012345-6789AB-CDEF01", monthly_usd = 0, emails = ["me@example.com"] }
    schedule               = { expression = "rate(7 days)", image = "me@sha256:${sha256("image")}", command = ["python"] }
  }
  expect_failures = [var.name, var.labels, var.expire_runs_after_days, var.budget, var.schedule]
}

run "what_would_let_others_in" {
  command = plan
  variables {
    launchers    = ["allUsers"]
    ci           = { repository = "me/*", environment = "*" }
    schedule     = { expression = "0 3 * * 1", image = "me:latest", command = ["python"] }
    tracking_uri = "https://me:secret@mlflow.example.com"
  }
  expect_failures = [var.launchers, var.ci, var.schedule, var.tracking_uri]
}

run "a_whole_domain_and_nobody" {
  command = plan
  variables {
    launchers = ["user:me@example.com", "domain:example.com"]
    ci        = { repository = "me/my-models", environment = "production", repository_id = "mine" }
    schedule  = { expression = "0 3 * * 1", image = "me@sha256:${sha256("image")}", command = [] }
    budget    = { billing_account = "mine", monthly_usd = 10, emails = ["me@example.com"] }
  }
  expect_failures = [var.launchers, var.ci, var.schedule, var.budget]
}

run "ci_by_one_branch" {
  command = plan
  variables {
    ci = { repository = "me/my-models", environment = "production", branch = "main" }
  }

  assert {
    condition     = google_iam_workload_identity_pool_provider.github[0].attribute_condition == "assertion.sub == \"repo:me/my-models:environment:production:ref:refs/heads/main\""
    error_message = "A branch that the environment lets in could sign in."
  }
}

run "a_branch_by_a_pattern" {
  command = plan
  variables {
    ci = { repository = "me/my-models", environment = "production", branch = "release/*" }
  }
  expect_failures = [var.ci]
}
