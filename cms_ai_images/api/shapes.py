"""What is answered, for the schema alone: the JSON itself is written by the functions in `serializers` and `options`.

Writing it by hand is several times faster than the framework's serializers, and a test compares the two.
"""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from cms_ai_images.types import Operation, OutputFormat, Priority, ReviewState, Status


def nullable(field: type[serializers.Field], **kwargs: Any) -> serializers.Field:
    """A field that may be null."""
    return field(allow_null=True, **kwargs)


class ProblemErrorSerializer(serializers.Serializer):
    """One thing that is wrong."""

    field = nullable(serializers.CharField, help_text="The input that is at fault.")  # type: ignore[assignment]
    code = serializers.CharField(help_text="For programs; never changes.")
    detail = serializers.CharField(help_text="For people, in their language.")


class ProblemSerializer(serializers.Serializer):
    """RFC 9457."""

    type = serializers.CharField(help_text="Where the code is explained.")
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField(help_text="For people, in their language.")
    code = serializers.CharField(help_text="For programs; never changes.")
    errors = ProblemErrorSerializer(many=True)  # type: ignore[assignment]


class LibraryFileSerializer(serializers.Serializer):
    """A file of the media library."""

    filer_id = serializers.IntegerField()
    data_cms_src = serializers.CharField(help_text="What an editor refers to it by.")
    url = serializers.CharField()
    thumbnail_url = serializers.CharField()
    name = serializers.CharField()
    alt_text = serializers.CharField()
    caption = serializers.CharField()
    credit = serializers.CharField()
    focal_point = serializers.ListField(
        child=serializers.FloatField(), allow_null=True, help_text="x and y in fractions of width and height."
    )
    width = serializers.IntegerField()
    height = serializers.IntegerField()
    admin_url = serializers.CharField()


class ImageSerializer(serializers.Serializer):
    """A picture: a private draft, or a file of the library."""

    id = serializers.UUIDField()
    task = serializers.UUIDField()
    index = serializers.IntegerField()
    seed = serializers.IntegerField()
    width = serializers.IntegerField()
    height = serializers.IntegerField()
    state = serializers.ChoiceField(ReviewState.choices)
    file_url = nullable(serializers.CharField)
    preview_url = nullable(serializers.CharField)
    download_url = nullable(serializers.CharField)
    library = LibraryFileSerializer(allow_null=True)


class NamedStyleSerializer(serializers.Serializer):
    slug = serializers.CharField()
    name = serializers.CharField()


class NamedModelSerializer(serializers.Serializer):
    slug = nullable(serializers.CharField)
    label = serializers.CharField()  # type: ignore[assignment]


class StepSerializer(serializers.Serializer):
    step = serializers.IntegerField()
    total = serializers.IntegerField()


class TaskErrorSerializer(serializers.Serializer):
    code = serializers.CharField()
    detail = serializers.CharField()
    retryable = serializers.BooleanField()


class TaskOriginSerializer(serializers.Serializer):
    label = serializers.CharField()  # type: ignore[assignment]
    object_id = serializers.CharField()
    field = serializers.CharField()  # type: ignore[assignment]


class ProposedSerializer(serializers.Serializer):
    name = serializers.CharField()
    alt_text = serializers.CharField()


class PersonSerializer(serializers.Serializer):
    id = serializers.JSONField()
    name = serializers.CharField()


class TaskReferenceSerializer(serializers.Serializer):
    """A picture that was started from, as the request named it: one of these."""

    upload = serializers.CharField(required=False)
    image = serializers.CharField(required=False)
    library = serializers.IntegerField(required=False)
    url = serializers.CharField(required=False)


class TaskSerializer(serializers.Serializer):
    """A request for pictures and what became of it."""

    id = serializers.UUIDField()
    status = serializers.ChoiceField(Status.choices)
    operation = serializers.ChoiceField(Operation.choices)
    prompt = serializers.CharField()
    negative_prompt = serializers.CharField()
    preset = NamedStyleSerializer(allow_null=True)
    model = NamedModelSerializer()
    width = serializers.IntegerField()
    height = serializers.IntegerField()
    steps = serializers.IntegerField()
    guidance_scale = serializers.FloatField()
    quality = serializers.CharField()
    strength = nullable(serializers.FloatField)
    references = TaskReferenceSerializer(many=True)
    seed = serializers.IntegerField()
    num_images = serializers.IntegerField()
    output_format = serializers.ChoiceField(OutputFormat.choices)
    priority = serializers.ChoiceField([priority.word for priority in Priority])
    cost = serializers.IntegerField(help_text="In points.")
    created_at = serializers.DateTimeField()
    started_at = nullable(serializers.DateTimeField)
    finished_at = nullable(serializers.DateTimeField)
    cancel_requested = serializers.BooleanField()
    position = nullable(serializers.IntegerField, help_text="Its place in the queue, from 1.")
    eta_seconds = nullable(serializers.IntegerField)
    progress = StepSerializer(allow_null=True)
    preview_urls = serializers.ListField(child=serializers.CharField())
    error = TaskErrorSerializer(allow_null=True)
    origin = TaskOriginSerializer(allow_null=True)
    proposed = ProposedSerializer()
    user = PersonSerializer(allow_null=True, help_text="Whose it is; null where it is your own.")
    images = ImageSerializer(many=True)
    url = serializers.CharField()
    events_url = serializers.CharField()
    previews = serializers.ListField(child=serializers.CharField(), required=False)


class ReferencePictureSerializer(serializers.Serializer):
    """A picture that was brought, cleaned."""

    id = serializers.UUIDField()
    width = serializers.IntegerField()
    height = serializers.IntegerField()
    byte_size = serializers.IntegerField()
    sha256 = serializers.CharField()
    created_at = serializers.DateTimeField()
    url = serializers.CharField()
    file_url = serializers.CharField()


class TaskListSerializer(serializers.Serializer):
    """A page, newest first. With `open=1` there is one page and no links."""

    next = nullable(serializers.CharField, required=False)
    previous = nullable(serializers.CharField, required=False)
    results = TaskSerializer(many=True)


class ReadySerializer(serializers.Serializer):
    ready = serializers.IntegerField()
    drawing = serializers.IntegerField()
    fields = serializers.DictField(child=serializers.IntegerField())  # type: ignore[assignment]


class PresetSerializer(serializers.Serializer):
    """A style."""

    slug = serializers.CharField()
    name = serializers.CharField()
    description = serializers.CharField()
    thumbnail_url = nullable(serializers.CharField)
    model = nullable(serializers.CharField)
    parameters = serializers.DictField()
    locked = serializers.ListField(child=serializers.CharField())
    favourite = serializers.BooleanField()


class PresetListSerializer(serializers.Serializer):
    results = PresetSerializer(many=True)


class QualitySerializer(serializers.Serializer):
    name = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    parameters = serializers.DictField(help_text="What it sets where you set nothing else.")
    parameter_limits = serializers.DictField()
    prices = serializers.DictField()


class ModelSerializer(serializers.Serializer):
    """A model with its limits and prices."""

    slug = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    description = serializers.CharField()
    operations = serializers.ListField(child=serializers.CharField())
    sizes = serializers.ListField(child=serializers.ListField(child=serializers.IntegerField()))
    default_parameters = serializers.DictField()
    parameter_limits = serializers.DictField()
    max_images = serializers.IntegerField()
    output_formats = serializers.ListField(child=serializers.CharField())
    prices = serializers.DictField(help_text="Points for a picture by operation; empty where pictures cost nothing.")
    qualities = QualitySerializer(many=True)
    provider = nullable(serializers.CharField, help_text="Who is sent the prompt; null where nobody is.")
    available = serializers.BooleanField(help_text="Whether a worker of its pool lives.")
    is_default = serializers.BooleanField()


class ModelListSerializer(serializers.Serializer):
    results = ModelSerializer(many=True)


class MaySerializer(serializers.Serializer):
    high_priority = serializers.BooleanField()
    see_all = serializers.BooleanField()


class HealthSerializer(serializers.Serializer):
    """Whether a picture asked for now would be drawn."""

    status = serializers.ChoiceField(["ok", "no_worker", "queue_unreachable", "no_model_configured"])
    detail = serializers.CharField()
    workers = serializers.IntegerField()
    queued = serializers.IntegerField()
    max_prompt_length = nullable(serializers.IntegerField)
    may = MaySerializer()


class AccountSerializer(serializers.Serializer):
    balance = serializers.IntegerField()
    monthly = serializers.IntegerField(help_text="What a new month fills it up to.")


class GroupAccountSerializer(AccountSerializer):
    name = serializers.CharField()


class CreditsSerializer(serializers.Serializer):
    """Points, where pictures cost some."""

    enabled = serializers.BooleanField()
    balance = nullable(serializers.IntegerField, help_text="What can be spent in one go.")
    low = serializers.BooleanField()
    own = AccountSerializer(allow_null=True)
    groups = GroupAccountSerializer(many=True)


class FolderSerializer(serializers.Serializer):
    id = nullable(serializers.IntegerField)
    path = serializers.CharField()


class FolderListSerializer(serializers.Serializer):
    results = FolderSerializer(many=True)
    default = FolderSerializer()  # type: ignore[assignment]


class FavouriteSerializer(serializers.Serializer):
    """A named set of settings."""

    id = serializers.CharField()
    name = serializers.CharField()
    settings = serializers.DictField()


class PreferencesSerializer(serializers.Serializer):
    """What the dialog remembers."""

    last = serializers.DictField()
    favourite_presets = serializers.ListField(child=serializers.CharField())
    favourites = FavouriteSerializer(many=True)


class PreferencesChangeSerializer(serializers.Serializer):
    """Either or both."""

    last = serializers.DictField(required=False)
    favourite_presets = serializers.ListField(child=serializers.CharField(), required=False)


class FavouriteChangeSerializer(serializers.Serializer):
    name = serializers.CharField(max_length=60)
    settings = serializers.DictField()
