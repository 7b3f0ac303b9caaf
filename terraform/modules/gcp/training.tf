# The account of a training: its data, its image, its logs (access.tf), and nothing of Vertex AI.

resource "google_service_account" "train" {
  project      = var.project
  account_id   = "${var.name}-train"
  display_name = "What the container of a training may do"
  depends_on   = [google_project_service.this]
}
