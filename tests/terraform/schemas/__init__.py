"""What providers of Terraform know, in the words of ``terraform providers schema -json``."""
