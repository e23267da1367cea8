"""How much one person may ask for: each limit to the number, by setting and by group, and what a refusal says."""

from __future__ import annotations

import io
import uuid

import pytest
from django.contrib.auth.models import Group, User
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.urls import reverse
from PIL import Image

from cms_ai_images import conf, limits, services
from cms_ai_images.exceptions import (
    ModelBeyondLimits,
    ParameterOutOfRange,
    PromptTooLong,
    QueueFull,
    SizeNotSupported,
    StorageFull,
    TooManyTasks,
)
from cms_ai_images.library import references
from cms_ai_images.models import (
    CreditAccount,
    GeneratedImage,
    GenerationModel,
    GenerationTask,
    GroupLimits,
    ReferencePicture,
)
from cms_ai_images.storage import draft_storage
from cms_ai_images.types import Status

from .asking import ask, refused, set_limits
from .factories import make_image, make_model, make_task, make_worker

pytestmark = pytest.mark.django_db

MIB = 1024 * 1024


@pytest.fixture(autouse=True)
def worker(db: None) -> None:
    """Somebody who would draw."""
    make_worker()


@pytest.fixture
def model(db: None) -> GenerationModel:
    return make_model()


@pytest.fixture
def group(author: User) -> Group:
    """The author's."""
    group = Group.objects.create(name="Writers")
    author.groups.add(group)
    return group


# -- Whose limits ------------------------------------------------------------------------------------------------------


class TestWhose:
    def test_the_setting_holds_where_no_group_has_an_opinion(self, author: User, group: Group, settings) -> None:
        settings.CMS_AI_IMAGES = {"LIMITS": {"steps": 30}}
        GroupLimits.objects.create(group=group)
        assert limits.of(author).steps == 30
        assert limits.of(author).active_tasks == conf.DEFAULTS["LIMITS"]["active_tasks"]

    def test_a_group_replaces_the_setting_also_with_less(self, author: User, group: Group) -> None:
        GroupLimits.objects.create(group=group, images_per_request=9, active_tasks=2)
        assert (limits.of(author).images_per_request, limits.of(author).active_tasks) == (9, 2)

    def test_of_several_groups_the_most_generous_one_counts(self, author: User, group: Group) -> None:
        GroupLimits.objects.create(group=group, steps=20, active_tasks=5, images_per_request=2)
        other = Group.objects.create(name="Designers")
        author.groups.add(other)
        GroupLimits.objects.create(group=other, steps=40, active_tasks=0)
        own = limits.of(author)
        assert (own.steps, own.active_tasks, own.images_per_request) == (40, None, 2)

    def test_other_peoples_groups_do_not_matter(self, author: User, other_author: User, group: Group) -> None:
        GroupLimits.objects.create(group=group, steps=20)
        assert limits.of(other_author).steps is None

    def test_one_query_finds_them(self, author: User, group: Group, django_assert_num_queries) -> None:
        GroupLimits.objects.create(group=group, steps=20)
        with django_assert_num_queries(1):
            limits.of(author)

    def test_every_task_must_end(self, group: Group) -> None:
        with pytest.raises(ValidationError) as caught:
            GroupLimits(group=group, task_seconds=0).full_clean()
        assert list(caught.value.message_dict) == ["task_seconds"]
        with pytest.raises(IntegrityError), transaction.atomic():
            GroupLimits.objects.create(group=group, task_seconds=0)


# -- What one request may ask for --------------------------------------------------------------------------------------


class TestOneRequest:
    def test_pictures(self, author: User, group: Group, model: GenerationModel) -> None:
        assert isinstance(refused(author, num_images=5), ParameterOutOfRange)
        GroupLimits.objects.create(group=group, images_per_request=9)
        assert ask(author, num_images=9).parameters["num_images"] == 9
        error = refused(author, num_images=10)
        assert (error.field, error.params["high"]) == ("num_images", 9)

    def test_a_model_may_allow_fewer_pictures(self, author: User, group: Group) -> None:
        GroupLimits.objects.create(group=group, images_per_request=0)
        make_model(parameter_limits={"num_images": [1, 2]})
        assert refused(author, num_images=3).params["high"] == 2

    def test_pixels(self, author: User, model: GenerationModel, settings) -> None:
        set_limits(settings, pixels=64 * 64)
        assert ask(author, width=64, height=64).parameters["width"] == 64
        error = refused(author, width=96, height=64)
        assert isinstance(error, SizeNotSupported)
        assert error.params["sizes"] == "64 × 64"

    def test_the_default_size_is_the_first_one_within_the_limit(self, author: User, settings) -> None:
        set_limits(settings, pixels=64 * 64)
        make_model(sizes=[[96, 64], [64, 64]])
        task = ask(author)
        assert (task.parameters["width"], task.parameters["height"]) == (64, 64)

    def test_steps(self, author: User, model: GenerationModel, settings) -> None:
        set_limits(settings, steps=10)
        assert ask(author, steps=10).parameters["steps"] == 10
        error = refused(author, steps=11)
        assert (error.code, error.field, error.params["high"]) == ("parameter_out_of_range", "steps", 10)

    def test_a_models_own_steps_are_lowered_to_the_limit(self, author: User, settings) -> None:
        make_model(default_parameters={"steps": 30})
        set_limits(settings, steps=10)
        assert ask(author).parameters["steps"] == 10

    def test_a_model_whose_least_is_too_much_is_not_offered(self, author: User, settings) -> None:
        make_model(parameter_limits={"steps": [20, 50]})
        make_model("vast", sizes=[[1024, 1024]])
        make_model("fine")
        set_limits(settings, steps=10, pixels=MIB - 1)
        assert isinstance(refused(author, model="dummy"), ModelBeyondLimits)
        assert isinstance(refused(author, model="vast"), ModelBeyondLimits)
        client = Client()
        client.force_login(author)
        listed = client.get(reverse("cms_ai_images:model-list")).json()["results"]
        assert [model["slug"] for model in listed] == ["fine"]

    def test_prompt_length(self, author: User, model: GenerationModel, settings) -> None:
        set_limits(settings, prompt_length=5)
        assert ask(author, prompt="apple").prompt == "apple"
        for field in ("prompt", "negative_prompt"):
            error = refused(author, **{"prompt": "apple", field: "apples"})
            assert isinstance(error, PromptTooLong)
            assert error.field == field

    def test_time_is_frozen_with_the_task(self, author: User, group: Group, model: GenerationModel) -> None:
        row = GroupLimits.objects.create(group=group, task_seconds=60)
        task = ask(author)
        row.delete()
        task.refresh_from_db()
        assert task.time_limit == 60
        assert ask(author).time_limit == 300

    def test_the_lists_show_what_is_within_the_limits(self, author: User, group: Group, model: GenerationModel) -> None:
        GroupLimits.objects.create(group=group, pixels=64 * 64, steps=10, images_per_request=2, prompt_length=99)
        client = Client()
        client.force_login(author)
        (listed,) = client.get(reverse("cms_ai_images:model-list")).json()["results"]
        assert (listed["sizes"], listed["max_images"], listed["parameter_limits"]["steps"]) == ([[64, 64]], 2, [1, 10])
        assert client.get(reverse("cms_ai_images:health")).json()["max_prompt_length"] == 99


# -- How much at a time ------------------------------------------------------------------------------------------------


class TestAtATime:
    def test_tasks(self, author: User, other_author: User, model: GenerationModel, settings) -> None:
        set_limits(settings, active_tasks=2)
        make_task(other_author)
        make_task(author, status=Status.SUCCEEDED)
        make_task(author, status=Status.RUNNING)
        waiting = ask(author)
        error = refused(author)
        assert isinstance(error, TooManyTasks)
        assert (error.status, error.retryable, error.params) == (429, True, {"limit": 2})
        services.cancel(author, waiting)
        ask(author)

    def test_a_retry_needs_a_place_too(self, author: User, admin: User, model: GenerationModel, settings) -> None:
        set_limits(settings, active_tasks=1)
        failed = make_task(author, status=Status.FAILED)
        ask(author)
        with pytest.raises(TooManyTasks), transaction.atomic():
            services.retry(author, failed)
        failed.refresh_from_db()
        assert (failed.status, failed.charge_round) == (Status.FAILED, 1)
        assert services.retry(admin, failed).status == Status.QUEUED  # an operator's help

    def test_the_same_pictures_need_none(self, author: User, model: GenerationModel, settings) -> None:
        set_limits(settings, active_tasks=1)
        task = ask(author, seed=7)
        assert ask(author, seed=7) == task

    def test_queue_length(self, author: User, other_author: User, model: GenerationModel, settings) -> None:
        set_limits(settings, queue_length=2)
        make_model("elsewhere", pool="other")
        make_task(other_author, GenerationModel.objects.get(slug="elsewhere"))
        make_task(other_author, status=Status.RUNNING)
        make_task(other_author)
        ask(author)
        error = refused(author)
        assert isinstance(error, QueueFull)
        assert (error.status, error.retryable, error.retry_after) == (503, True, 30)

    def test_storage_counts_drafts_and_what_is_on_its_way(self, author: User, other_author: User, settings) -> None:
        """512 × 512 × 3 bytes are three quarters of a MiB."""
        make_model(sizes=[[512, 512]])
        set_limits(settings, storage_mib=3)
        make_task(other_author)
        image = make_image(author)
        GeneratedImage.objects.update(byte_size=MIB * 3 // 2)
        ask(author)
        error = refused(author, num_images=2)
        assert isinstance(error, StorageFull)
        assert (error.status, error.params) == (409, {"used": 2, "limit": 3})
        ask(author)
        assert isinstance(refused(author), StorageFull)
        services.discard(author, image)
        ask(author, num_images=2)
        assert isinstance(refused(author), StorageFull)

    def test_pictures_that_people_bring_take_storage_too(self, author: User, settings) -> None:
        make_model(sizes=[[512, 512]])
        set_limits(settings, storage_mib=1)
        first, second = (io.BytesIO() for _ in range(2))
        Image.new("RGB", (64, 64), "red").save(first, "PNG")
        Image.new("RGB", (64, 64), "blue").save(second, "PNG")
        references.keep(author, first.getvalue())
        ReferencePicture.objects.update(byte_size=MIB // 4)
        ask(author)
        before = draft_storage().listdir("references")  # other tests' pictures, too
        with pytest.raises(StorageFull):
            references.keep(author, second.getvalue())
        (kept,) = ReferencePicture.objects.all()
        files = draft_storage().listdir("references")
        assert sorted(files[1]) == sorted(before[1])
        assert kept.file.name.removeprefix("references/") in files[1]
        assert references.keep(author, first.getvalue()) == kept  # it is there already

    def test_everybody_has_an_account_to_wait_at_though_nothing_costs_points(
        self, author: User, model: GenerationModel
    ) -> None:
        ask(author)
        assert CreditAccount.objects.get(user=author).balance == 0

    def test_refusals_reach_the_api_with_the_time_to_wait(self, author: User, model: GenerationModel, settings) -> None:
        set_limits(settings, queue_length=1)
        ask(author)
        client = Client()
        client.force_login(author)
        address = reverse("cms_ai_images:task-list")
        answer = client.post(address, {"prompt": "a pear"}, content_type="application/json")
        assert (answer.status_code, answer["Retry-After"], answer.json()["code"]) == (503, "30", "queue_full")
        assert "1 tasks are waiting" in answer.json()["detail"]


def test_what_one_person_has_at_work_is_found_by_an_index(author: User, model: GenerationModel) -> None:
    """Not by reading the history, however long it is."""
    done = make_task(author, status=Status.SUCCEEDED)
    fields = {field.attname: getattr(done, field.attname) for field in done._meta.concrete_fields}
    copies = [GenerationTask(**{**fields, "id": None, "uuid": uuid.uuid4()}) for _ in range(500)]
    GenerationTask.objects.bulk_create(copies)
    make_task(author)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    assert "ai_images_task_active" in limits.active_tasks(author).explain()
