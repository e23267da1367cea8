"""URLs of the REST API, version 1."""

from django.urls import path, re_path

from cms_ai_images.api import desk, events, images, options, preferences, references, schema, spending, tasks

urlpatterns = [
    path("tasks/", tasks.TaskListView.as_view(), name="task-list"),
    path("tasks/ready/", desk.TaskReadyView.as_view(), name="task-ready"),
    path("tasks/<uuid:uuid>/", tasks.TaskDetailView.as_view(), name="task-detail"),
    path("tasks/<uuid:uuid>/cancel/", tasks.TaskCancelView.as_view(), name="task-cancel"),
    path("tasks/<uuid:uuid>/retry/", tasks.TaskRetryView.as_view(), name="task-retry"),
    path("tasks/<uuid:uuid>/put-away/", tasks.TaskPutAwayView.as_view(), name="task-put-away"),
    path("tasks/<uuid:uuid>/previews/<int:index>/", tasks.TaskPreviewView.as_view(), name="task-preview"),
    path("tasks/<uuid:uuid>/events/", events.task_events, name="task-events"),
    path("images/<uuid:uuid>/file/", images.ImageFileView.as_view(), name="image-file"),
    path("images/<uuid:uuid>/preview/", images.ImagePreviewView.as_view(), name="image-preview"),
    path("images/<uuid:uuid>/accept/", images.ImageAcceptView.as_view(), name="image-accept"),
    path("images/<uuid:uuid>/discard/", images.ImageDiscardView.as_view(), name="image-discard"),
    path("images/<uuid:uuid>/download/", images.ImageDownloadView.as_view(), name="image-download"),
    path("references/", references.ReferenceListView.as_view(), name="reference-list"),
    path("references/<uuid:uuid>/", references.ReferenceDetailView.as_view(), name="reference-detail"),
    path("references/<uuid:uuid>/file/", references.ReferenceFileView.as_view(), name="reference-file"),
    path("preferences/", preferences.PreferencesView.as_view(), name="preferences"),
    path("preferences/favourites/", preferences.FavouriteListView.as_view(), name="favourite-list"),
    path("preferences/favourites/<slug:favourite>/", preferences.FavouriteView.as_view(), name="favourite-detail"),
    path("presets/", options.PresetListView.as_view(), name="preset-list"),
    path("models/", options.ModelListView.as_view(), name="model-list"),
    path("credits/", options.CreditsView.as_view(), name="credits"),
    path("spending/", spending.SpendingView.as_view(), name="spending"),
    path("folders/", options.FolderListView.as_view(), name="folder-list"),
    path("health/", options.HealthView.as_view(), name="health"),
    path("schema/", schema.schema_view, name="schema"),
    path("docs/", schema.docs, name="docs"),
    path("problems/", schema.problems, name="problems"),
    re_path("", schema.nowhere),  # whatever else; `<path:rest>` takes neither nothing nor line breaks
]
