# Copy to backend.hcl. The bucket is made once, by hand: private, versioned.
bucket = "my-terraform-state"
prefix = "trefoil/gcp"
