# Copy to backend.hcl. The bucket is made once, by hand: private, versioned, encrypted.
bucket       = "my-terraform-state"
key          = "trefoil/aws.tfstate"
region       = "eu-west-1"
encrypt      = true
use_lockfile = true
