"""No web process ever imports the machine-learning stack, whatever page is asked for."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys

import pytest
from django.contrib.auth.models import User

from .factories import make_model, make_preset, make_task, make_worker
from .services import child_environment

STACK = {"torch", "diffusers", "transformers", "accelerate", "onnxruntime"}

# A web process as any host makes it: settings, URLconf, then pages asked for by somebody who may do everything.
WEB_PROCESS = """
import json, sys
import django
django.setup()
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from django.urls import get_resolver, reverse

task = sys.argv[1]
get_resolver().reverse_dict  # resolves every included URLconf
client = Client(SERVER_NAME="localhost")
client.force_login(User.objects.get(username="admin"))

def get(name, *arguments):
    return reverse(name, args=arguments)

api = "cms_ai_images:"
pages = [get("admin:index"), get("articles:list"), get(api + "dialog"), get(api + "health")]
pages += [get(api + name) for name in ("task-list", "preset-list", "model-list", "preferences", "folder-list")]
pages += [get(api + "task-detail", task)]
for model, model_admin in admin.site._registry.items():
    if model._meta.app_label in ("cms_ai_images", "articles", "filer"):
        base = f"admin:{model._meta.app_label}_{model._meta.model_name}_"
        pages += [get(base + "changelist"), *([] if model._meta.proxy else [get(base + "add")])]
answers = {page: client.get(page).status_code for page in pages}
request = {"prompt": "a boat", "num_images": 1}
answers["POST"] = client.post(get(api + "task-list"), request, content_type="application/json").status_code
answers["cancel"] = client.post(get(api + "task-cancel", task)).status_code
print(json.dumps({"answers": answers, "modules": sorted(sys.modules)}))
"""


@pytest.mark.django_db(transaction=True)
def test_a_web_process_never_imports_the_machine_learning_stack(admin: User):
    make_model()
    make_model("real", backend="diffusers", source="nowhere", position=1)  # its class is asked who is sent the prompt
    make_preset()
    make_worker()
    task = make_task(user=admin)
    environment = child_environment(AI_IMAGES_TEST_SETTINGS=json.dumps({"CREDITS": True}))
    process = [sys.executable, "-c", WEB_PROCESS, str(task.uuid)]
    done = subprocess.run(process, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    # 403: what nobody may add by hand, such as tasks.
    unexpected = {page: status for page, status in seen["answers"].items() if status not in (200, 202, 302, 403)}
    assert unexpected == {}
    assert seen["answers"]["POST"] == 202
    assert len(seen["answers"]) > 20
    assert {module.split(".")[0] for module in seen["modules"]} & STACK == set()


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="the web side alone, as in noxfile.py")
def test_the_stack_is_here_to_be_imported():
    """Otherwise the test above would pass for the wrong reason."""
    assert all(importlib.util.find_spec(name) for name in ("torch", "diffusers", "transformers"))
