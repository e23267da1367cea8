/** The API's reference page: Swagger UI, which is a plain script, told where the schema is and how to write. */

const place = document.getElementById("docs");

function csrfToken() {
  const prefix = `${place.dataset.csrfCookie}=`;
  const found = document.cookie.split("; ").find((pair) => pair.startsWith(prefix));
  return found ? decodeURIComponent(found.slice(prefix.length)) : place.dataset.csrfToken;
}

window.SwaggerUIBundle({
  url: place.dataset.schema,
  domNode: place,
  deepLinking: true,
  validatorUrl: null, // nothing is sent anywhere else
  requestInterceptor(request) {
    if (new URL(request.url, location.href).origin === location.origin) request.headers["X-CSRFToken"] = csrfToken();
    return request;
  },
});
