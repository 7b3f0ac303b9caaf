# One repository for all images. A tag is written once, so that what it names never changes.

resource "google_artifact_registry_repository" "this" {
  project       = var.project
  location      = var.region
  repository_id = var.name
  format        = "DOCKER"
  kms_key_name  = google_kms_crypto_key.this.id
  labels        = local.labels
  depends_on    = [google_kms_crypto_key_iam_member.services]

  docker_config {
    immutable_tags = true
  }

  # What has a tag stays: Google deletes no tag that cannot be moved.
  cleanup_policies {
    id     = "untagged"
    action = "DELETE"
    condition {
      tag_state  = "UNTAGGED"
      older_than = "${30 * 24 * 3600}s"
    }
  }
}
