# What several files here need to know of where they are, and which of Google's services they use.

data "google_project" "this" {
  project_id = var.project
}

locals {
  number = data.google_project.this.number
  labels = merge(var.labels, { "trefoil-ground" = var.name })
}

resource "google_project_service" "this" {
  for_each = toset(concat(
    ["aiplatform", "artifactregistry", "cloudkms", "iam", "iamcredentials", "logging", "storage"],
    var.ci == null ? [] : ["sts"],
    var.schedule == null ? [] : ["cloudscheduler", "run"],
    var.budget == null ? [] : ["billingbudgets", "monitoring"],
  ))
  project            = var.project
  service            = "${each.key}.googleapis.com"
  disable_on_destroy = false # others in the project may use them
}
