{{/* The pod, whichever workload it is of; scc.yaml derives what OpenShift must allow from it. */}}

{{/* As OpenShift's documented command and AWS's roles for service accounts name it; so not by the release. */}}
{{- define "sensor.serviceAccountName" -}}
{{- if .Values.sensor.serviceAccount.create }}
{{- default (include "app.name" .) .Values.sensor.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.sensor.serviceAccount.name }}
{{- end }}
{{- end }}

{{/*
By what the workload knows its pods: Kubernetes never lets it be changed. Snyk's chart gives its workload the chart's
name, whatever the release is called. Where ours comes out the same, as for a release called `runtime-sensor`, its
selector is Snyk's too, else an upgrade from that chart would be refused. That name is there once in a namespace, and
no other release's pods have the label, so that two releases never know each other's pods.
*/}}
{{- define "sensor.selectorLabels" -}}
{{- if eq (include "app.fullname" .) (include "app.name" .) -}}
app.kubernetes.io/name: {{ include "app.name" . | quote }}
control-plane: runtime-sensor
{{- else -}}
{{ include "app.selectorLabels" . }}
{{- end }}
{{- end }}

{{- define "sensor.caConfigMap" -}}
{{- if .Values.caBundle.pem }}{{ include "app.fullname" . }}-ca{{ else }}{{ .Values.caBundle.configMap }}{{ end }}
{{- end }}

{{- define "sensor.podTemplate" -}}
metadata:
  annotations:
    # What the sensor reads at its start only: a change makes new pods.
    checksum/config: {{ .Values.caBundle.pem | sha256sum }}
    {{- if and (eq .Values.workloadType "daemonset") (not (include "sensor.appArmorField" .)) }}
    {{- include "sensor.appArmorAnnotation" . | nindent 4 }}
    {{- end }}
    {{- with .Values.sensor.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  labels:
    {{- $selected := include "sensor.selectorLabels" . | fromYaml }}
    {{- $labels := merge $selected (include "app.selectorLabels" . | fromYaml) }}
    {{- toYaml $labels | nindent 4 }}
    {{- with omit .Values.sensor.podLabels "app.kubernetes.io/name" "app.kubernetes.io/instance" "control-plane" }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  {{- include "sensor.podSpec" . | nindent 2 }}
{{- end }}

{{- define "sensor.podSpec" -}}
serviceAccountName: {{ include "sensor.serviceAccountName" . }}
automountServiceAccountToken: true
{{- with .Values.imagePullSecret }}
imagePullSecrets:
  - name: {{ . | quote }}
{{- end }}
{{- if eq .Values.workloadType "daemonset" }}
# The kernel names processes by the node's pids.
hostPID: true
{{- end }}
securityContext:
  {{- include "sensor.podSecurityContext" . | trim | nindent 2 }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
{{- /* Of each node a pod. One for the cluster has to leave a node that has died, which is a taint NoExecute. */}}
{{- $all := eq .Values.workloadType "daemonset" | ternary (dict "operator" "Exists") (dict "operator" "Exists" "effect" "NoSchedule") }}
tolerations:
  {{- .Values.tolerations | default (list $all) | toYaml | nindent 2 }}
nodeSelector:
  {{- merge (dict "kubernetes.io/os" "linux") .Values.nodeSelector | toYaml | nindent 2 }}
{{- if .Values.affinity }}
affinity:
  {{- toYaml .Values.affinity | nindent 2 }}
{{- else if eq .Values.workloadType "daemonset" }}
affinity:
  nodeAffinity:
    requiredDuringSchedulingIgnoredDuringExecution:
      nodeSelectorTerms:
        - matchExpressions:
            - key: eks.amazonaws.com/compute-type
              operator: NotIn
              values: [fargate]
            - key: type
              operator: NotIn
              values: [virtual-kubelet]
{{- end }}
containers:
  - {{ include "sensor.container" . | nindent 4 | trim }}
volumes:
  {{- include "sensor.volumes" . | nindent 2 }}
{{- end }}

{{- define "sensor.container" -}}
name: {{ include "app.name" . }}
image: {{ include "app.image" (dict "image" .Values.sensor.image "appVersion" .Chart.AppVersion) | quote }}
imagePullPolicy: {{ .Values.sensor.image.pullPolicy }}
command: [runtime-sensor]
args:
  - node
  {{- include "sensor.args" . | nindent 2 }}
  {{- range .Values.sensor.extraArgs }}
  - {{ . | quote }}
  {{- end }}
env:
  {{- include "sensor.env" . | nindent 2 }}
ports:
  - name: metrics
    containerPort: {{ .Values.metrics.port }}
resources:
  {{- toYaml .Values.sensor.resources | nindent 2 }}
securityContext:
  {{- include "sensor.containerSecurityContext" . | nindent 2 }}
startupProbe:
  httpGet: {path: /healthz, port: metrics}
  {{- toYaml .Values.probes.startup | nindent 2 }}
  timeoutSeconds: 5
readinessProbe:
  httpGet: {path: /readyz, port: metrics}
  {{- toYaml .Values.probes.readiness | nindent 2 }}
  timeoutSeconds: 5
livenessProbe:
  httpGet: {path: /healthz, port: metrics}
  {{- toYaml .Values.probes.liveness | nindent 2 }}
  timeoutSeconds: 5
volumeMounts:
  {{- include "sensor.volumeMounts" . | nindent 2 }}
{{- end }}
