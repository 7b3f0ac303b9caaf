# What the accounts of the files beside this one share: the bucket and the images.

locals {
  jobs = {
    pipeline = google_service_account.pipeline.member
    train    = google_service_account.train.member
    deploy   = google_service_account.deploy.member
  }
  writers = merge(local.jobs, local.launchers)
  readers = { serving = google_service_account.serving.member }
  objects = "projects/_/buckets/${google_storage_bucket.this.name}/objects/${var.prefix}/"
}

# To list is a right over the whole bucket, to read and write one over what lies under the prefix.
resource "google_storage_bucket_iam_member" "list" {
  for_each = merge(local.writers, local.readers)
  bucket   = google_storage_bucket.this.name
  role     = "roles/storage.legacyBucketReader"
  member   = each.value
}

# To write an object again is to delete the one before, of which the bucket keeps a version.
resource "google_storage_bucket_iam_member" "write" {
  for_each = local.writers
  bucket   = google_storage_bucket.this.name
  role     = "roles/storage.objectUser"
  member   = each.value

  condition {
    title      = "under-the-prefix"
    expression = "resource.name.startsWith(\"${local.objects}\")"
  }
}

resource "google_storage_bucket_iam_member" "read" {
  for_each = local.readers
  bucket   = google_storage_bucket.this.name
  role     = "roles/storage.objectViewer"
  member   = each.value

  condition {
    title      = "under-the-prefix"
    expression = "resource.name.startsWith(\"${local.objects}\")"
  }
}

resource "google_artifact_registry_repository_iam_member" "pull" {
  for_each   = merge(local.writers, local.readers)
  project    = var.project
  location   = google_artifact_registry_repository.this.location
  repository = google_artifact_registry_repository.this.name
  role       = "roles/artifactregistry.reader"
  member     = each.value
}

resource "google_project_iam_member" "logs" {
  for_each = merge(local.jobs, local.readers)
  project  = var.project
  role     = "roles/logging.logWriter"
  member   = each.value
}
