{{/* Values as `runtime-sensor node` takes them: options, environment, files. */}}

{{- define "sensor.args" -}}
- --workload-type={{ .Values.workloadType }}
- --transport={{ .Values.sensor.transport }}
- --metrics-address={{ .Values.metrics.address }}:{{ .Values.metrics.port }}
- --state-dir=/var/lib/runtime-sensor
- --state-limit={{ .Values.sensor.state.limitMiB }}
- --log-level={{ eq (toString .Values.debug) "true" | ternary "debug" "info" }}
{{- if include "sensor.caConfigMap" . }}
- --ca-bundle=/etc/runtime-sensor/ca/{{ .Values.caBundle.key }}
{{- end }}
{{- if and (eq .Values.secretProvider "aws") .Values.aws.groupsScopes }}
- --groups-scopes-file=/mnt/secrets-store/groupsScopes
{{- end }}
{{- end }}

{{- define "sensor.env" -}}
- name: NODE_NAME
  valueFrom:
    fieldRef:
      fieldPath: spec.nodeName
- name: CLUSTER_NAME
  value: {{ .Values.clusterName | quote }}
- name: SNYK_GROUP_ID
  value: {{ .Values.snykGroupId | quote }}
- name: SNYK_API_BASE_URL
  value: {{ .Values.snykAPIBaseURL | quote }}
{{- if eq .Values.secretProvider "aws" }}
# A file that the driver's rotation replaces: another token is taken without a restart. Nothing here waits for the
# secret that the driver makes of it, which needs rights that it may not have been given.
- name: SNYK_TOKEN_FILE
  value: /mnt/secrets-store/snykToken
{{- else }}
# A file, not a variable: another token is taken without a restart.
- name: SNYK_TOKEN_FILE
  value: /etc/runtime-sensor/secret/snykToken
- name: GROUPS_SCOPES
  valueFrom:
    secretKeyRef:
      name: {{ .Values.secretName }}
      key: groupsScopes
      optional: true
{{- end }}
{{- range $variable, $items := dict "FILTER_WORKLOAD_TYPES" .Values.sensor.filters.workloadTypes "FILTER_NAMESPACES" .Values.sensor.filters.namespaces }}
{{- with $items }}
- name: {{ $variable }}
  value: {{ join "," . | quote }}
{{- end }}
{{- end }}
{{- with .Values.sensor.filters.podLabels }}
- name: FILTER_POD_LABELS
  value: {{ include "sensor.podLabelsFilter" . | quote }}
{{- end }}
{{- with .Values.proxy.https }}
- name: HTTPS_PROXY
  value: {{ . | quote }}
{{- end }}
{{- /* Also beside a proxy of extraEnv: the API server is never behind it. */}}
- name: NO_PROXY
  value: {{ list "$(KUBERNETES_SERVICE_HOST)" "kubernetes.default.svc" .Values.proxy.noProxy | compact | join "," | quote }}
{{- with .Values.sensor.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* A list of KEY=VALUE, or a map. */}}
{{- define "sensor.podLabelsFilter" -}}
{{- $items := list }}
{{- if kindIs "map" . }}
{{- range $key, $value := . }}
{{- $items = append $items (printf "%s=%s" $key (toString $value)) }}
{{- end }}
{{- else }}
{{- $items = . }}
{{- end }}
{{- join "," $items }}
{{- end }}
