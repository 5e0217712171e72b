{{/* Names and labels are of the chart, never of the release. */}}
{{- define "former.name" -}}
{{- .Values.fullnameOverride | default (.Values.nameOverride | default .Chart.Name) }}
{{- end }}

{{- define "former.labels" -}}
app.kubernetes.io/name: {{ .Values.nameOverride | default .Chart.Name }}
{{- end }}
