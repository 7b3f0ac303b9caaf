locals {
  settings = {
    project                 = var.project
    region                  = var.region
    bucket                  = google_storage_bucket.this.name
    prefix                  = var.prefix
    service_account         = google_service_account.pipeline.email
    serving_service_account = google_service_account.serving.email
    step_accounts = {
      train  = google_service_account.train.email
      deploy = google_service_account.deploy.email
    }
    registry     = "${var.region}-docker.pkg.dev/${var.project}/${google_artifact_registry_repository.this.repository_id}"
    tracking_uri = var.tracking_uri
    experiment   = var.experiment
    kms_key      = google_kms_crypto_key.this.id
    network      = var.network
    labels       = local.labels
  }
}

output "settings" {
  description = "What --settings reads: each key is one of GcpSettings."
  value       = local.settings
}

output "ci" {
  description = "What a workflow signs in with, the provider and the account; null without ci."
  value = var.ci == null ? null : {
    workload_identity_provider = google_iam_workload_identity_pool_provider.github[0].name
    service_account            = google_service_account.ci[0].email
  }
}
