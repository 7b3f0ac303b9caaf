# One key encrypts the bucket, the images, the jobs' disks and the endpoints.

resource "google_kms_key_ring" "this" {
  project    = var.project
  name       = var.name
  location   = var.region
  depends_on = [google_project_service.this]
}

resource "google_kms_crypto_key" "this" {
  name            = var.name
  key_ring        = google_kms_key_ring.this.id
  purpose         = "ENCRYPT_DECRYPT"
  rotation_period = "7776000s" # 90 days
  labels          = local.labels
}

# Google's services use it for us; whoever may read an object needs no right to the key.
resource "google_kms_crypto_key_iam_member" "services" {
  for_each = {
    storage   = data.google_storage_project_service_account.this.member
    images    = "serviceAccount:service-${local.number}@gcp-sa-artifactregistry.iam.gserviceaccount.com"
    vertex_ai = "serviceAccount:service-${local.number}@gcp-sa-aiplatform.iam.gserviceaccount.com"
  }
  crypto_key_id = google_kms_crypto_key.this.id
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = each.value
}

data "google_storage_project_service_account" "this" {
  project    = var.project
  depends_on = [google_project_service.this]
}
