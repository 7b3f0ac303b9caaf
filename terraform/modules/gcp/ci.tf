# GitHub's workflows prove who they are with a token of their own: no key of Google's is kept there.

resource "google_service_account" "ci" {
  count        = var.ci == null ? 0 : 1
  project      = var.project
  account_id   = "${var.name}-ci"
  display_name = "What workflows of ${var.ci.repository} in ${var.ci.environment} may do"
  depends_on   = [google_project_service.this]
}

resource "google_iam_workload_identity_pool" "github" {
  count                     = var.ci == null ? 0 : 1
  project                   = var.project
  workload_identity_pool_id = "${var.name}-github"
  description               = "Workflows of ${var.ci.repository}"
  depends_on                = [google_project_service.this]
}

resource "google_iam_workload_identity_pool_provider" "github" {
  count                              = var.ci == null ? 0 : 1
  project                            = var.project
  workload_identity_pool_id          = google_iam_workload_identity_pool.github[0].workload_identity_pool_id
  workload_identity_pool_provider_id = "github"
  attribute_mapping                  = { "google.subject" = "assertion.sub" }
  attribute_condition = join(" && ", compact([
    "assertion.sub == \"${local.subject}\"",
    # A name can be taken over by another owner, an id cannot.
    try("assertion.repository_id == \"${var.ci.repository_id}\"", ""),
  ]))

  oidc {
    issuer_uri = "https://token.actions.githubusercontent.com"
  }
}

resource "google_service_account_iam_member" "ci" {
  count              = var.ci == null ? 0 : 1
  service_account_id = google_service_account.ci[0].name
  role               = "roles/iam.workloadIdentityUser"
  member             = "principal://iam.googleapis.com/${google_iam_workload_identity_pool.github[0].name}/subject/${local.subject}"
}

# Which branch it is, GitHub says in the subject where the repository asks for that (README.md).
locals {
  subject = var.ci == null ? "" : join(":", compact([
    "repo:${var.ci.repository}:environment:${var.ci.environment}",
    var.ci.branch == null ? "" : "ref:refs/heads/${var.ci.branch}",
  ]))
}
