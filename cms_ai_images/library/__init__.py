"""From private draft bytes to a picture in the django-filer media library."""
