"""What kfp-kubernetes makes of settings that ours are held against."""

from kfp import dsl, kubernetes
from kfp.dsl import Model, Output


@dsl.container_component
def fit(x: int, model: Output[Model]):
    return dsl.ContainerSpec(image="trefoil-trainer", command=["fit"], args=[x, model.path])


@dsl.container_component
def fit_on_gpus(x: int, model: Output[Model]):
    return dsl.ContainerSpec(image="trefoil-trainer", command=["fit"], args=[x, model.path])


@dsl.pipeline(name="pods")
def pods(x: int = 3):
    gpus = fit_on_gpus(x=x).set_accelerator_type("nvidia.com/gpu").set_accelerator_limit(8)
    for task in (fit(x=x), gpus):
        task.set_cpu_limit("1").set_memory_limit("2G")
        kubernetes.set_image_pull_policy(task, "Never")
        kubernetes.empty_dir_mount(
            task, volume_name="shm", mount_path="/dev/shm", medium="Memory", size_limit="2Gi"
        )
        kubernetes.use_secret_as_env(task, "mlflow", {"token": "MLFLOW_TRACKING_TOKEN"})
        kubernetes.use_secret_as_env(task, "hub", {"user": "HUB_USER", "key": "HUB_KEY"})
        kubernetes.add_toleration(task, key="gpu", operator="Exists", effect="NoSchedule")
        kubernetes.add_toleration(
            task, key="pool", operator="Equal", value="a", effect="NoExecute", toleration_seconds=10
        )
        kubernetes.add_node_selector(task, "pool", "a")
        kubernetes.mount_pvc(task, "trefoil-data", "/trefoil/data")
