# The account of a pipeline, and of its plain steps: it starts custom jobs, with their accounts.

resource "google_service_account" "pipeline" {
  project      = var.project
  account_id   = "${var.name}-pipeline"
  display_name = "What a pipeline and its plain steps may do"
  depends_on   = [google_project_service.this]
}

resource "google_project_iam_custom_role" "pipeline" {
  project     = var.project
  role_id     = "${local.role}.pipeline"
  title       = "${var.name}: pipelines"
  description = "Start custom jobs, and note what they made"
  permissions = concat(local.lineage, local.custom_jobs)
}

resource "google_project_iam_member" "pipeline" {
  project = var.project
  role    = google_project_iam_custom_role.pipeline.name
  member  = google_service_account.pipeline.member
}

# A job is started with an account that one may use; these two, and no other.
resource "google_service_account_iam_member" "pipeline" {
  for_each = {
    train  = google_service_account.train.name
    deploy = google_service_account.deploy.name
  }
  service_account_id = each.value
  role               = "roles/iam.serviceAccountUser"
  member             = google_service_account.pipeline.member
}

locals {
  role = replace(var.name, "-", "_")

  custom_jobs = [for verb in ["cancel", "create", "get", "list"] : "aiplatform.customJobs.${verb}"]

  # Vertex AI keeps what a step took and made under the pipeline's own account.
  lineage = [for right in [
    "artifacts.create", "artifacts.get", "artifacts.list", "artifacts.update",
    "contexts.addContextArtifactsAndExecutions", "contexts.addContextChildren", "contexts.create",
    "contexts.get", "contexts.list", "contexts.queryContextLineageSubgraph", "contexts.update",
    "executions.addExecutionEvents", "executions.create", "executions.get", "executions.list",
    "executions.queryExecutionInputsAndOutputs", "executions.update",
    "metadataSchemas.get", "metadataSchemas.list", "metadataStores.get", "metadataStores.list",
  ] : "aiplatform.${right}"]
}
