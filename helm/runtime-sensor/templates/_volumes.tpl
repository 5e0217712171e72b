{{/* Files of the pod, and the few of the node. Never the node's root. */}}

{{- define "sensor.volumeMounts" -}}
- name: tmp
  mountPath: /tmp
- name: state
  mountPath: /var/lib/runtime-sensor
{{- if eq .Values.secretProvider "aws" }}
- name: secrets-store
  mountPath: /mnt/secrets-store
  readOnly: true
{{- else }}
- name: secret
  mountPath: /etc/runtime-sensor/secret
  readOnly: true
{{- end }}
{{- if include "sensor.caConfigMap" . }}
- name: ca
  mountPath: /etc/runtime-sensor/ca
  readOnly: true
{{- end }}
{{- if eq .Values.workloadType "daemonset" }}
- name: cgroup
  mountPath: /sys/fs/cgroup
  readOnly: true
{{- range include "sensor.runtimePaths" . | fromJsonArray }}
- name: {{ .name }}
  mountPath: {{ .path }}
  readOnly: true
{{- end }}
{{- end }}
{{- with .Values.sensor.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "sensor.volumes" -}}
# The root file system is read-only. What is compiled for this kernel passes through here.
- name: tmp
  emptyDir:
    sizeLimit: 64Mi
- name: state
{{- if and .Values.sensor.state.hostPath (eq .Values.workloadType "daemonset") }}
  hostPath:
    # A folder for each release.
    path: {{ .Values.sensor.state.hostPath | trimSuffix "/" }}/{{ .Release.Namespace }}-{{ include "app.fullname" . }}
    type: DirectoryOrCreate
{{- else }}
  emptyDir:
    sizeLimit: {{ add .Values.sensor.state.limitMiB 32 }}Mi
{{- end }}
{{- if eq .Values.secretProvider "aws" }}
- name: secrets-store
  csi:
    driver: secrets-store.csi.k8s.io
    readOnly: true
    volumeAttributes:
      secretProviderClass: {{ include "app.fullname" . }}-aws-secrets
{{- else }}
- name: secret
  secret:
    secretName: {{ .Values.secretName }}
    # Owner root; the group is the user's of workloadType=deployment.
    defaultMode: 0440
    items:
      - key: snykToken
        path: snykToken
{{- end }}
{{- with include "sensor.caConfigMap" . }}
- name: ca
  configMap:
    name: {{ . }}
{{- end }}
{{- if eq .Values.workloadType "daemonset" }}
# Processes of a container whose first one has ended. The container's own view shows itself alone.
- name: cgroup
  hostPath:
    path: /sys/fs/cgroup
    type: Directory
{{- $named := ne .Values.sensor.containerRuntime "auto" }}
{{- range include "sensor.runtimePaths" . | fromJsonArray }}
- name: {{ .name }}
  hostPath:
    path: {{ .path }}
    {{- if $named }}
    # It was named, so it must be there.
    type: {{ .type | default "Directory" }}
    {{- end }}
{{- end }}
{{- end }}
{{- with .Values.sensor.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}
