"""Cross-validation: each fold is a run of a child process, grouped under the sweep's run."""

import multiprocessing
import os

import wandb


def train_fold(number, queue, results):
    for key in [k for k in os.environ if k.startswith("WANDB_") and k != "WANDB_PROJECT"]:
        del os.environ[key]
    group, job, config = queue.get()
    run = wandb.init(group=group, job_type=job, name=f"{job}-{number}", config=config)
    accuracy = config["lr"] * (number + 1) / 10
    run.log({"fold_accuracy": accuracy})
    wandb.join()
    results.put(accuracy)


def main():
    context = multiprocessing.get_context("spawn")
    results, queues, workers = context.Queue(), [], []
    for number in range(2):
        queues.append(context.Queue())
        workers.append(context.Process(target=train_fold, args=(number, queues[-1], results)))
        workers[-1].start()
    run = wandb.init(project="wages", config={"lr": 0.5})
    run.notes = str(run.get_sweep_url())
    run.save()
    for queue in queues:
        queue.put((run.sweep_id or run.id, run.name, dict(run.config)))
    found = [results.get(timeout=240) for _ in workers]
    for worker in workers:
        worker.join()
    run.log({"accuracy": sum(found) / len(found)})
    wandb.join()


if __name__ == "__main__":
    main()
