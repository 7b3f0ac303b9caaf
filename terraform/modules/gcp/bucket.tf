# Data, runs, models: one private, encrypted, versioned bucket. Google serves it by TLS alone.

resource "google_storage_bucket" "this" {
  project                     = var.project
  name                        = "${var.name}-${var.project}"
  location                    = var.region
  force_destroy               = var.force_destroy
  public_access_prevention    = "enforced"
  uniform_bucket_level_access = true
  labels                      = local.labels
  depends_on                  = [google_kms_crypto_key_iam_member.services]

  versioning {
    enabled = true
  }

  encryption {
    default_kms_key_name = google_kms_crypto_key.this.id
  }

  lifecycle_rule {
    action {
      type = "AbortIncompleteMultipartUpload"
    }
    condition {
      age = 7
    }
  }

  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      days_since_noncurrent_time = 30
    }
  }

  # Checkpoints are of use to the run that wrote them, and to no other.
  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      age            = 30
      matches_prefix = ["${var.prefix}/checkpoints/"]
    }
  }

  dynamic "lifecycle_rule" {
    for_each = var.expire_runs_after_days > 0 ? [var.expire_runs_after_days] : []
    content {
      action {
        type = "Delete"
      }
      condition {
        age            = lifecycle_rule.value
        matches_prefix = ["${var.prefix}/runs/"]
      }
    }
  }
}
