# Runs in the node, a Debian, as root. Nothing to do where it was done before.
set -euo pipefail
if command -v nvidia-ctk >/dev/null; then
    echo "the toolkit is there"
    exit 0
fi
apt-get update -qq
apt-get install -y -qq --no-install-recommends ca-certificates curl gnupg >/dev/null
curl -fsSL https://nvidia.github.io/libnvidia-container/gpgkey |
    gpg --dearmor -o /usr/share/keyrings/nvidia.gpg
curl -fsSL https://nvidia.github.io/libnvidia-container/stable/deb/nvidia-container-toolkit.list |
    sed 's#deb https://#deb [signed-by=/usr/share/keyrings/nvidia.gpg] https://#' \
        >/etc/apt/sources.list.d/nvidia-container-toolkit.list
apt-get update -qq
apt-get install -y -qq nvidia-container-toolkit >/dev/null
nvidia-ctk runtime configure --runtime=containerd --set-as-default
umount -R /proc/driver/nvidia 2>/dev/null || true # hides the GPUs from the node's own containers
systemctl restart containerd
