{{/* "true" on OpenShift: told, or seen by an API that it alone has, so that the pod works with any SCC that allows
it, also the `privileged` one of `oc adm policy`. */}}
{{- define "openshift.found" -}}
{{- if or .Values.openshift.enabled (.Capabilities.APIVersions.Has "security.openshift.io/v1") }}true{{ end }}
{{- end }}
