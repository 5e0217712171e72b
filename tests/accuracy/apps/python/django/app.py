"""Django: ORM on SQLite, two template engines, a REST view, and back ends that are imported by name."""

from __future__ import annotations

import sys

import django
import told
from django.conf import settings

settings.configure(
    SECRET_KEY="none",
    ROOT_URLCONF="app",
    ALLOWED_HOSTS=["testserver"],
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "rest_framework"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    PASSWORD_HASHERS=["django.contrib.auth.hashers.Argon2PasswordHasher"],
    EMAIL_BACKEND="django.core.mail.backends.locmem.EmailBackend",
    TEMPLATES=[
        {"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True},
        {"BACKEND": "django.template.backends.jinja2.Jinja2", "NAME": "j2"},
    ],
)
sys.modules["app"] = sys.modules["__main__"]
django.setup()

from django.contrib.auth.models import User  # noqa: E402 - models need the applications to be set up
from django.core.mail import send_mail  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.template import engines  # noqa: E402
from django.test import Client  # noqa: E402
from django.urls import path  # noqa: E402
from rest_framework.decorators import api_view  # noqa: E402
from rest_framework.response import Response  # noqa: E402


@api_view(["GET"])
def users(request: object) -> Response:
    return Response({"names": [user.username for user in User.objects.all()]})


urlpatterns = [path("users", users)]

call_command("migrate", verbosity=0)
User.objects.create_user("one", password="secret")
assert engines["django"].from_string("{{ a|add:1 }}").render({"a": 1}) == "2"
assert engines["j2"].from_string("{{ a }}").render({"a": 1}) == "1"
send_mail("subject", "body", "a@example.org", ["b@example.org"])
assert Client().get("/users").json() == {"names": ["one"]}
told.tell()
