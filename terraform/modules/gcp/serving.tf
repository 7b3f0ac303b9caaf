# The account of served models: it reads the bucket (access.tf), and writes nothing.

resource "google_service_account" "serving" {
  project      = var.project
  account_id   = "${var.name}-serving"
  display_name = "What the container behind an endpoint may do"
  depends_on   = [google_project_service.this]
}
