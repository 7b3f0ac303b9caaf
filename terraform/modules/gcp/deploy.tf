# The account of the step deploy: a custom job that also makes and changes endpoints.

resource "google_service_account" "deploy" {
  project      = var.project
  account_id   = "${var.name}-deploy"
  display_name = "What the step that deploys may do"
  depends_on   = [google_project_service.this]
}

# Also what a person may who rolls back or stops an endpoint (launch.tf). Vertex AI's rights are
# of a project, not of one endpoint: who shall not touch another's endpoints needs a project.
resource "google_project_iam_custom_role" "endpoints" {
  project     = var.project
  role_id     = "${local.role}.endpoints"
  title       = "${var.name}: endpoints"
  description = "Deploy, roll back and stop endpoints"
  permissions = concat(
    [for verb in ["create", "delete", "deploy", "get", "list", "predict", "undeploy", "update"] : "aiplatform.endpoints.${verb}"],
    [for verb in ["delete", "get", "list", "update", "upload"] : "aiplatform.models.${verb}"],
    [for verb in ["cancel", "create", "get", "list"] : "aiplatform.batchPredictionJobs.${verb}"],
    ["aiplatform.operations.list", "logging.logEntries.list"], # a server's last lines
  )
}

resource "google_project_iam_member" "endpoints" {
  for_each = merge({ deploy = google_service_account.deploy.member }, local.launchers)
  project  = var.project
  role     = google_project_iam_custom_role.endpoints.name
  member   = each.value
}

resource "google_service_account_iam_member" "endpoints" {
  for_each           = merge({ deploy = google_service_account.deploy.member }, local.launchers)
  service_account_id = google_service_account.serving.name
  role               = "roles/iam.serviceAccountUser"
  member             = each.value
}
