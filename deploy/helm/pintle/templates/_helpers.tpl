{{- define "pintle.labels" -}}
app.kubernetes.io/name: pintle
app.kubernetes.io/part-of: pintle
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "pintle.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- /* What mode companion needs, over what the values say. */ -}}
{{- define "pintle.config" -}}
{{- $own := dict "mode" "companion" "cgroupMount" "/host/sys/fs/cgroup" "nodeNetwork" "/host/net" "rootDir" "/run/pintle" "runDir" "/run/pintle" "metrics" (dict "listen" (printf "0.0.0.0:%d" (int .Values.metrics.port))) "ebpf" (dict "bpffs" "/sys/fs/bpf" "programsFolder" "" "programsNamespace" (ternary .Release.Namespace "" ((.Values.programs).configMaps | default false))) -}}
{{- dict "apiVersion" "pintle.dev/v1" "kind" "PintleConfiguration" "pintle" (mergeOverwrite (deepCopy .Values.config) $own) | toYaml -}}
{{- end }}

{{- /* A file of values gives a bare off as false. */ -}}
{{- define "pintle.nriMode" -}}
{{- $mode := ((.Values.config.companion).nri).mode -}}
{{- if eq "false" (toString $mode) }}off{{ else }}{{ $mode | default "auto" }}{{ end -}}
{{- end }}

{{- define "pintle.securityContext" -}}
runAsUser: 0
runAsGroup: 0
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
seccompProfile:
  type: RuntimeDefault
capabilities:
  drop: [ALL]
  add: {{ toJson .Values.capabilities }}
{{- end }}

{{- define "pintle.placement" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
{{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
{{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
{{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
