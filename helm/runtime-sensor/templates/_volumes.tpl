{{/*
Files of the pod. None of the node: the sensor sees its container runtime and cgroups as it sees containers, through
/proc. A mount of the runtime's folder would keep ended containers' disks busy (sensor/node/identify/node_root.py).
*/}}

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
{{- with .Values.sensor.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "sensor.volumes" -}}
# The root file system is read-only. What the compiler reads passes through /dev/shm, or here where that is closed.
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
# AWS's provider makes its files readable for everybody in the pod: for the user of workloadType=deployment too.
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
{{- with .Values.sensor.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}
