{{/* Everything that widens or narrows what the sensor may do on a node. */}}

{{/* As values say why each is needed; the sensor gives most up once it watches. */}}
{{- define "sensor.neededCapabilities" -}}
["BPF", "PERFMON", "SYS_RESOURCE", "DAC_READ_SEARCH", "SYS_PTRACE", "SYS_NICE"]
{{- end }}

{{/* The needed ones but for those omitted, and what was asked for, each once, without CAP_: JSON {add: […]}. */}}
{{- define "sensor.capabilities" -}}
{{- $add := list }}
{{- $omitted := list }}
{{- range .Values.securityContext.omitCapabilities }}
{{- $omitted = append $omitted (trimPrefix "CAP_" .) }}
{{- end }}
{{- range concat (include "sensor.neededCapabilities" . | fromJsonArray) (.Values.securityContext.capabilities | default list) }}
{{- $name := trimPrefix "CAP_" . }}
{{- if not (or (has $name $add) (has $name $omitted)) }}
{{- $add = append $add $name }}
{{- end }}
{{- end }}
{{- dict "add" $add | toJson }}
{{- end }}

{{- define "sensor.containerSecurityContext" -}}
readOnlyRootFilesystem: true
{{- if ne .Values.workloadType "daemonset" }}
allowPrivilegeEscalation: false
capabilities:
  drop: [ALL]
{{- else if .Values.securityContext.privileged }}
privileged: true
{{- else }}
{{- $add := (include "sensor.capabilities" . | fromJson).add }}
{{- /* The API refuses "no escalation" beside CAP_SYS_ADMIN. */}}
allowPrivilegeEscalation: {{ or (has "SYS_ADMIN" $add) (has "ALL" $add) }}
capabilities:
  drop: [ALL]
  add:
    {{- toYaml $add | nindent 4 }}
{{- end }}
{{- if and (eq .Values.workloadType "daemonset") (include "sensor.appArmorField" .) }}
appArmorProfile:
  type: {{ .Values.securityContext.appArmor }}
{{- end }}
{{- end }}

{{- define "sensor.podSecurityContext" -}}
{{- if eq .Values.workloadType "daemonset" }}
{{- /* Capabilities count for root alone: no image can give them to another user. */}}
runAsUser: 0
runAsGroup: 0
{{- else }}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
{{- end }}
seccompProfile:
  {{- toYaml .Values.securityContext.seccompProfile | nindent 2 }}
{{- if .Values.securityContext.seLinuxOptions }}
seLinuxOptions:
  {{- toYaml .Values.securityContext.seLinuxOptions | nindent 2 }}
{{- else if and (eq .Values.workloadType "daemonset") (include "openshift.found" .) }}
{{- /* Else containers' files, which have labels of their own, cannot be read. */}}
seLinuxOptions:
  type: spc_t
{{- end }}
{{- end }}

{{/* AppArmor is a field from 1.30 on, an annotation before. */}}
{{- define "sensor.appArmorField" -}}
{{- if semverCompare ">=1.30.0-0" .Capabilities.KubeVersion.Version }}true{{ end }}
{{- end }}

{{- define "sensor.appArmorAnnotation" -}}
container.apparmor.security.beta.kubernetes.io/{{ include "app.name" . }}: {{ eq .Values.securityContext.appArmor "Unconfined" | ternary "unconfined" "runtime/default" }}
{{- end }}
