// Written from sql/ by scripts/generate-types.ts; do not edit.
/* oxlint-disable max-lines */

export type Json = string | number | boolean | null | { [key: string]: Json | undefined } | Json[];

export type JsonInput = string | number | boolean | null | object;

export interface Schema {
  public: {
    Tables: {
      alert_kinds: {
        Row: {
          kind: string;
          what_to_do: string;
        };
        Insert: {
          kind: string;
          what_to_do: string;
        };
        Update: {
          kind?: string | undefined;
          what_to_do?: string | undefined;
        };
        Relationships: [];
      };
      alerts: {
        Row: {
          closed_at: string | null;
          id: number;
          kind: string;
          message: string;
          opened_at: string;
          pool: string | null;
          subject: string;
        };
        Insert: {
          closed_at?: string | null | undefined;
          kind: string;
          message: string;
          opened_at?: string | undefined;
          pool?: string | null | undefined;
          subject: string;
        };
        Update: {
          closed_at?: string | null | undefined;
          kind?: string | undefined;
          message?: string | undefined;
          opened_at?: string | undefined;
          pool?: string | null | undefined;
          subject?: string | undefined;
        };
        Relationships: [
          {
            foreignKeyName: "alerts_kind_fkey";
            columns: ["kind"];
            isOneToOne: false;
            referencedRelation: "alert_kinds";
            referencedColumns: ["kind"];
          },
        ];
      };
      deployment: {
        Row: {
          files_url: string | null;
          id: string;
          is_only: boolean;
          wake_hash: string | null;
        };
        Insert: {
          files_url?: string | null | undefined;
          id?: string | undefined;
          is_only?: boolean | undefined;
          wake_hash?: string | null | undefined;
        };
        Update: {
          files_url?: string | null | undefined;
          id?: string | undefined;
          is_only?: boolean | undefined;
          wake_hash?: string | null | undefined;
        };
        Relationships: [];
      };
      ended_attempts: {
        Row: {
          attempt: number;
          cause: string;
          claimable_at: string | null;
          ended_at: string;
          error: string | null;
          lease_token: string;
          progress: number | null;
          progress_at: string | null;
          progress_message: string | null;
          put_back: boolean;
          reports_progress: boolean;
          started_at: string;
          task_id: string;
          worker_id: string;
        };
        Insert: {
          attempt: number;
          cause: string;
          claimable_at?: string | null | undefined;
          ended_at?: string | undefined;
          error?: string | null | undefined;
          lease_token: string;
          progress?: number | null | undefined;
          progress_at?: string | null | undefined;
          progress_message?: string | null | undefined;
          put_back?: boolean | undefined;
          reports_progress?: boolean | undefined;
          started_at: string;
          task_id: string;
          worker_id: string;
        };
        Update: {
          attempt?: number | undefined;
          cause?: string | undefined;
          claimable_at?: string | null | undefined;
          ended_at?: string | undefined;
          error?: string | null | undefined;
          lease_token?: string | undefined;
          progress?: number | null | undefined;
          progress_at?: string | null | undefined;
          progress_message?: string | null | undefined;
          put_back?: boolean | undefined;
          reports_progress?: boolean | undefined;
          started_at?: string | undefined;
          task_id?: string | undefined;
          worker_id?: string | undefined;
        };
        Relationships: [
          {
            foreignKeyName: "ended_attempts_task_id_fkey";
            columns: ["task_id"];
            isOneToOne: false;
            referencedRelation: "tasks";
            referencedColumns: ["id"];
          },
        ];
      };
      janitor_sightings: {
        Row: {
          acted_at: string | null;
          first_seen_at: string;
          last_seen_at: string;
          subject: string;
        };
        Insert: {
          acted_at?: string | null | undefined;
          first_seen_at?: string | undefined;
          last_seen_at?: string | undefined;
          subject: string;
        };
        Update: {
          acted_at?: string | null | undefined;
          first_seen_at?: string | undefined;
          last_seen_at?: string | undefined;
          subject?: string | undefined;
        };
        Relationships: [];
      };
      limits: {
        Row: {
          answer_bytes: number;
          is_only: boolean;
          json_bytes: number;
          json_digits: number;
          json_levels: number;
          json_values: number;
          lease_file_bytes: number;
          lease_files: number;
          log_bytes_per_min: number;
          open_tasks: number;
          task_chain: number;
          task_fan_out: number;
          task_tree: number;
          tasks_per_min: number;
          tokens: number;
          webhooks: number;
        };
        Insert: {
          answer_bytes?: number | undefined;
          is_only?: boolean | undefined;
          json_bytes?: number | undefined;
          json_digits?: number | undefined;
          json_levels?: number | undefined;
          json_values?: number | undefined;
          lease_file_bytes?: number | undefined;
          lease_files?: number | undefined;
          log_bytes_per_min?: number | undefined;
          open_tasks?: number | undefined;
          task_chain?: number | undefined;
          task_fan_out?: number | undefined;
          task_tree?: number | undefined;
          tasks_per_min?: number | undefined;
          tokens?: number | undefined;
          webhooks?: number | undefined;
        };
        Update: {
          answer_bytes?: number | undefined;
          is_only?: boolean | undefined;
          json_bytes?: number | undefined;
          json_digits?: number | undefined;
          json_levels?: number | undefined;
          json_values?: number | undefined;
          lease_file_bytes?: number | undefined;
          lease_files?: number | undefined;
          log_bytes_per_min?: number | undefined;
          open_tasks?: number | undefined;
          task_chain?: number | undefined;
          task_fan_out?: number | undefined;
          task_tree?: number | undefined;
          tasks_per_min?: number | undefined;
          tokens?: number | undefined;
          webhooks?: number | undefined;
        };
        Relationships: [];
      };
      metric_totals: {
        Row: {
          label: string;
          metric: string;
          pool: string;
          value: number;
        };
        Insert: {
          label: string;
          metric: string;
          pool: string;
          value: number;
        };
        Update: {
          label?: string | undefined;
          metric?: string | undefined;
          pool?: string | undefined;
          value?: number | undefined;
        };
        Relationships: [];
      };
      metrics_export: {
        Row: {
          counted_to: string;
          exported_at: string;
          id: string;
          process: string;
        };
        Insert: {
          counted_to: string;
          exported_at: string;
          id?: string | undefined;
          process: string;
        };
        Update: {
          counted_to?: string | undefined;
          exported_at?: string | undefined;
          id?: string | undefined;
          process?: string | undefined;
        };
        Relationships: [];
      };
      no_funds: {
        Row: {
          account: string;
          since: string;
          tried_at: string;
        };
        Insert: {
          account?: string | undefined;
          since?: string | undefined;
          tried_at?: string | undefined;
        };
        Update: {
          account?: string | undefined;
          since?: string | undefined;
          tried_at?: string | undefined;
        };
        Relationships: [];
      };
      notification_endpoints: {
        Row: {
          created_at: string;
          enabled: boolean;
          format: string;
          id: string;
          kinds: string[];
          pool: string | null;
          project_id: string | null;
          secret: string;
          setting: string | null;
          url: string;
        };
        Insert: {
          created_at?: string | undefined;
          enabled?: boolean | undefined;
          format?: string | undefined;
          id?: string | undefined;
          kinds?: string[] | undefined;
          pool?: string | null | undefined;
          project_id?: string | null | undefined;
          secret?: string | undefined;
          setting?: string | null | undefined;
          url: string;
        };
        Update: {
          created_at?: string | undefined;
          enabled?: boolean | undefined;
          format?: string | undefined;
          id?: string | undefined;
          kinds?: string[] | undefined;
          pool?: string | null | undefined;
          project_id?: string | null | undefined;
          secret?: string | undefined;
          setting?: string | null | undefined;
          url?: string | undefined;
        };
        Relationships: [
          {
            foreignKeyName: "notification_endpoints_project_id_fkey";
            columns: ["project_id"];
            isOneToOne: false;
            referencedRelation: "projects";
            referencedColumns: ["id"];
          },
        ];
      };
      outbox: {
        Row: {
          attempts: number;
          created_at: string;
          dead_at: string | null;
          delivered_at: string | null;
          endpoint_id: string;
          id: number;
          kind: string;
          last_error: string | null;
          next_attempt_at: string;
          payload: Json;
          pool: string | null;
          project_id: string | null;
        };
        Insert: {
          attempts?: number | undefined;
          created_at?: string | undefined;
          dead_at?: string | null | undefined;
          delivered_at?: string | null | undefined;
          endpoint_id: string;
          kind: string;
          last_error?: string | null | undefined;
          next_attempt_at?: string | undefined;
          payload: JsonInput;
          pool?: string | null | undefined;
          project_id?: string | null | undefined;
        };
        Update: {
          attempts?: number | undefined;
          created_at?: string | undefined;
          dead_at?: string | null | undefined;
          delivered_at?: string | null | undefined;
          endpoint_id?: string | undefined;
          kind?: string | undefined;
          last_error?: string | null | undefined;
          next_attempt_at?: string | undefined;
          payload?: JsonInput | undefined;
          pool?: string | null | undefined;
          project_id?: string | null | undefined;
        };
        Relationships: [
          {
            foreignKeyName: "outbox_endpoint_id_fkey";
            columns: ["endpoint_id"];
            isOneToOne: false;
            referencedRelation: "notification_endpoints";
            referencedColumns: ["id"];
          },
        ];
      };
      placement_misses: {
        Row: {
          cloud: string;
          data_center: string;
          gpu_type: string;
          min_memory_gb: number;
          missed_at: string;
          pool: string;
          reason: string;
        };
        Insert: {
          cloud: string;
          data_center: string;
          gpu_type: string;
          min_memory_gb: number;
          missed_at?: string | undefined;
          pool: string;
          reason: string;
        };
        Update: {
          cloud?: string | undefined;
          data_center?: string | undefined;
          gpu_type?: string | undefined;
          min_memory_gb?: number | undefined;
          missed_at?: string | undefined;
          pool?: string | undefined;
          reason?: string | undefined;
        };
        Relationships: [
          {
            foreignKeyName: "placement_misses_pool_fkey";
            columns: ["pool"];
            isOneToOne: false;
            referencedRelation: "pools";
            referencedColumns: ["name"];
          },
        ];
      };
      pod_jobs: {
        Row: {
          details: Json;
          ended_at: string | null;
          purpose: string;
          report: Json;
          reported_at: string | null;
          state: string;
          timeout_sec: number;
          worker_id: string;
        };
        Insert: {
          details: JsonInput;
          ended_at?: string | null | undefined;
          purpose: string;
          report?: JsonInput | undefined;
          reported_at?: string | null | undefined;
          state?: string | undefined;
          timeout_sec: number;
          worker_id: string;
        };
        Update: {
          details?: JsonInput | undefined;
          ended_at?: string | null | undefined;
          purpose?: string | undefined;
          report?: JsonInput | undefined;
          reported_at?: string | null | undefined;
          state?: string | undefined;
          timeout_sec?: number | undefined;
          worker_id?: string | undefined;
        };
        Relationships: [
          {
            foreignKeyName: "pod_jobs_worker_id_fkey";
            columns: ["worker_id"];
            isOneToOne: true;
            referencedRelation: "workers";
            referencedColumns: ["id"];
          },
        ];
      };
      pool_events: {
        Row: {
          at: string;
          decision_id: string | null;
          details: Json;
          id: number;
          kind: string;
          pool: string;
          reason: string;
          task_id: string | null;
          worker_id: string | null;
        };
        Insert: {
          at?: string | undefined;
          decision_id?: string | null | undefined;
          details?: JsonInput | undefined;
          kind: string;
          pool: string;
          reason: string;
          task_id?: string | null | undefined;
          worker_id?: string | null | undefined;
        };
        Update: {
          at?: string | undefined;
          decision_id?: string | null | undefined;
          details?: JsonInput | undefined;
          kind?: string | undefined;
          pool?: string | undefined;
          reason?: string | undefined;
          task_id?: string | null | undefined;
          worker_id?: string | null | undefined;
        };
        Relationships: [];
      };
      pool_measurements: {
        Row: {
          arrivals_per_sec: number;
          claims_to: string | null;
          counted_to: string;
          figures: Json;
          fleet_hash: string | null;
          measured_at: string | null;
          open_tasks: number;
          pool: string;
          services_at: string | null;
          waits: number[];
        };
        Insert: {
          arrivals_per_sec?: number | undefined;
          claims_to?: string | null | undefined;
          counted_to?: string | undefined;
          figures?: JsonInput | undefined;
          fleet_hash?: string | null | undefined;
          measured_at?: string | null | undefined;
          open_tasks?: number | undefined;
          pool: string;
          services_at?: string | null | undefined;
          waits?: number[] | undefined;
        };
        Update: {
          arrivals_per_sec?: number | undefined;
          claims_to?: string | null | undefined;
          counted_to?: string | undefined;
          figures?: JsonInput | undefined;
          fleet_hash?: string | null | undefined;
          measured_at?: string | null | undefined;
          open_tasks?: number | undefined;
          pool?: string | undefined;
          services_at?: string | null | undefined;
          waits?: number[] | undefined;
        };
        Relationships: [
          {
            foreignKeyName: "pool_measurements_pool_fkey";
            columns: ["pool"];
            isOneToOne: true;
            referencedRelation: "pools";
            referencedColumns: ["name"];
          },
        ];
      };
      pool_minutes: {
        Row: {
          blocked: number;
          busy: number;
          completed: number;
          delayed: number;
          desired: number | null;
          failed: number;
          failing: number;
          held: number;
          idle: number;
          minute: string;
          oldest_wait_sec: number | null;
          open: number;
          pool: string;
          running: number;
          spawning: number;
          terminating: number;
          usd_per_hour: number;
        };
        Insert: {
          blocked: number;
          busy: number;
          completed: number;
          delayed: number;
          desired?: number | null | undefined;
          failed: number;
          failing: number;
          held: number;
          idle: number;
          minute: string;
          oldest_wait_sec?: number | null | undefined;
          open: number;
          pool: string;
          running: number;
          spawning: number;
          terminating: number;
          usd_per_hour: number;
        };
        Update: {
          blocked?: number | undefined;
          busy?: number | undefined;
          completed?: number | undefined;
          delayed?: number | undefined;
          desired?: number | null | undefined;
          failed?: number | undefined;
          failing?: number | undefined;
          held?: number | undefined;
          idle?: number | undefined;
          minute?: string | undefined;
          oldest_wait_sec?: number | null | undefined;
          open?: number | undefined;
          pool?: string | undefined;
          running?: number | undefined;
          spawning?: number | undefined;
          terminating?: number | undefined;
          usd_per_hour?: number | undefined;
        };
        Relationships: [
          {
            foreignKeyName: "pool_minutes_pool_fkey";
            columns: ["pool"];
            isOneToOne: false;
            referencedRelation: "pools";
            referencedColumns: ["name"];
          },
        ];
      };
      pools: {
        Row: {
          breaker: string;
          breaker_since: string;
          config: Json;
          created_at: string;
          desired_workers: number | null;
          environment: Json;
          environment_at: string | null;
          hold: number | null;
          hold_until: string | null;
          intent_version: number;
          mass_silence_since: string | null;
          max_workers: number | null;
          min_workers: number | null;
          mode: string;
          name: string;
          no_place_reason: string | null;
          no_place_since: string | null;
          observed_at: string | null;
          observing_since: string | null;
          should_run: boolean;
          signals_run: string | null;
          signals_written: number;
          started_by: string | null;
          task_types: string[] | null;
          updated_at: string;
          wait_value: number | null;
          watch_id: string | null;
        };
        Insert: {
          breaker?: string | undefined;
          breaker_since?: string | undefined;
          config?: JsonInput | undefined;
          created_at?: string | undefined;
          desired_workers?: number | null | undefined;
          environment?: JsonInput | undefined;
          environment_at?: string | null | undefined;
          hold?: number | null | undefined;
          hold_until?: string | null | undefined;
          intent_version?: number | undefined;
          mass_silence_since?: string | null | undefined;
          max_workers?: number | null | undefined;
          min_workers?: number | null | undefined;
          mode?: string | undefined;
          name: string;
          no_place_reason?: string | null | undefined;
          no_place_since?: string | null | undefined;
          observed_at?: string | null | undefined;
          observing_since?: string | null | undefined;
          should_run?: boolean | undefined;
          signals_run?: string | null | undefined;
          signals_written?: number | undefined;
          started_by?: string | null | undefined;
          task_types?: string[] | null | undefined;
          updated_at?: string | undefined;
          wait_value?: number | null | undefined;
          watch_id?: string | null | undefined;
        };
        Update: {
          breaker?: string | undefined;
          breaker_since?: string | undefined;
          config?: JsonInput | undefined;
          created_at?: string | undefined;
          desired_workers?: number | null | undefined;
          environment?: JsonInput | undefined;
          environment_at?: string | null | undefined;
          hold?: number | null | undefined;
          hold_until?: string | null | undefined;
          intent_version?: number | undefined;
          mass_silence_since?: string | null | undefined;
          max_workers?: number | null | undefined;
          min_workers?: number | null | undefined;
          mode?: string | undefined;
          name?: string | undefined;
          no_place_reason?: string | null | undefined;
          no_place_since?: string | null | undefined;
          observed_at?: string | null | undefined;
          observing_since?: string | null | undefined;
          should_run?: boolean | undefined;
          signals_run?: string | null | undefined;
          signals_written?: number | undefined;
          started_by?: string | null | undefined;
          task_types?: string[] | null | undefined;
          updated_at?: string | undefined;
          wait_value?: number | null | undefined;
          watch_id?: string | null | undefined;
        };
        Relationships: [];
      };
      prepared_volumes: {
        Row: {
          manifest: Json;
          prepared_at: string;
          volume_id: string;
          worker_id: string | null;
        };
        Insert: {
          manifest: JsonInput;
          prepared_at?: string | undefined;
          volume_id: string;
          worker_id?: string | null | undefined;
        };
        Update: {
          manifest?: JsonInput | undefined;
          prepared_at?: string | undefined;
          volume_id?: string | undefined;
          worker_id?: string | null | undefined;
        };
        Relationships: [];
      };
      projects: {
        Row: {
          created_at: string;
          id: string;
          max_running: number | null;
          name: string;
          paused: boolean;
          user_id: string | null;
        };
        Insert: {
          created_at?: string | undefined;
          id?: string | undefined;
          max_running?: number | null | undefined;
          name?: string | undefined;
          paused?: boolean | undefined;
          user_id?: string | null | undefined;
        };
        Update: {
          created_at?: string | undefined;
          id?: string | undefined;
          max_running?: number | null | undefined;
          name?: string | undefined;
          paused?: boolean | undefined;
          user_id?: string | null | undefined;
        };
        Relationships: [];
      };
      service_requests: {
        Row: {
          asked_at: string;
          attempt: number;
          mark: string | null;
          request_id: string | null;
          service: string;
          task_id: string;
        };
        Insert: {
          asked_at?: string | undefined;
          attempt: number;
          mark?: string | null | undefined;
          request_id?: string | null | undefined;
          service: string;
          task_id: string;
        };
        Update: {
          asked_at?: string | undefined;
          attempt?: number | undefined;
          mark?: string | null | undefined;
          request_id?: string | null | undefined;
          service?: string | undefined;
          task_id?: string | undefined;
        };
        Relationships: [
          {
            foreignKeyName: "service_requests_task_id_fkey";
            columns: ["task_id"];
            isOneToOne: false;
            referencedRelation: "tasks";
            referencedColumns: ["id"];
          },
        ];
      };
      service_times: {
        Row: {
          ended_at: string;
          gpu_type: string;
          model: string | null;
          pool: string;
          seconds: number;
          task_type: string;
        };
        Insert: {
          ended_at: string;
          gpu_type: string;
          model?: string | null | undefined;
          pool: string;
          seconds: number;
          task_type: string;
        };
        Update: {
          ended_at?: string | undefined;
          gpu_type?: string | undefined;
          model?: string | null | undefined;
          pool?: string | undefined;
          seconds?: number | undefined;
          task_type?: string | undefined;
        };
        Relationships: [
          {
            foreignKeyName: "service_times_pool_fkey";
            columns: ["pool"];
            isOneToOne: false;
            referencedRelation: "pools";
            referencedColumns: ["name"];
          },
        ];
      };
      system_logs: {
        Row: {
          arrived_at: string;
          cycle_number: number | null;
          id: number;
          log_level: string;
          message: string;
          metadata: Json;
          source_id: string | null;
          source_type: string;
          task_id: string | null;
          timestamp: string;
          worker_id: string | null;
        };
        Insert: {
          arrived_at?: string | undefined;
          cycle_number?: number | null | undefined;
          log_level: string;
          message: string;
          metadata?: JsonInput | undefined;
          source_id?: string | null | undefined;
          source_type: string;
          task_id?: string | null | undefined;
          timestamp?: string | undefined;
          worker_id?: string | null | undefined;
        };
        Update: {
          arrived_at?: string | undefined;
          cycle_number?: number | null | undefined;
          log_level?: string | undefined;
          message?: string | undefined;
          metadata?: JsonInput | undefined;
          source_id?: string | null | undefined;
          source_type?: string | undefined;
          task_id?: string | null | undefined;
          timestamp?: string | undefined;
          worker_id?: string | null | undefined;
        };
        Relationships: [];
      };
      task_types: {
        Row: {
          alias_of: string | null;
          created_at: string;
          expected_sec: number | null;
          name: string;
          needs_file: boolean;
          pool: string;
          stuck_timeout_sec: number | null;
        };
        Insert: {
          alias_of?: string | null | undefined;
          created_at?: string | undefined;
          expected_sec?: number | null | undefined;
          name: string;
          needs_file?: boolean | undefined;
          pool?: string | undefined;
          stuck_timeout_sec?: number | null | undefined;
        };
        Update: {
          alias_of?: string | null | undefined;
          created_at?: string | undefined;
          expected_sec?: number | null | undefined;
          name?: string | undefined;
          needs_file?: boolean | undefined;
          pool?: string | undefined;
          stuck_timeout_sec?: number | null | undefined;
        };
        Relationships: [
          {
            foreignKeyName: "task_types_alias_of_fkey";
            columns: ["alias_of"];
            isOneToOne: false;
            referencedRelation: "task_types";
            referencedColumns: ["name"];
          },
        ];
      };
      tasks: {
        Row: {
          after_siblings: boolean;
          attempts: number;
          claimable_at: string | null;
          created_at: string;
          delayed_until: string | null;
          delegated_at: string | null;
          dependant_on: string | null;
          error_details: string | null;
          error_message: string | null;
          failed_by: string | null;
          gate: string;
          generation_created: boolean;
          generation_processed_at: string | null;
          generation_started_at: string | null;
          hand_backs: number;
          id: string;
          lease_ended_at: string | null;
          lease_token: string | null;
          leased_at: string | null;
          leases: number;
          output_location: string | null;
          params: Json;
          parent_id: string | null;
          pool: string | null;
          priority: number;
          progress: number | null;
          progress_at: string | null;
          progress_message: string | null;
          project_id: string;
          reopened_at: string | null;
          reports_progress: boolean;
          result_data: Json | null;
          status: string;
          task_type: string;
          updated_at: string;
          vtime: number;
          worker_id: string | null;
        };
        Insert: {
          after_siblings?: boolean | undefined;
          attempts?: number | undefined;
          claimable_at?: string | null | undefined;
          created_at?: string | undefined;
          delayed_until?: string | null | undefined;
          delegated_at?: string | null | undefined;
          dependant_on?: string | null | undefined;
          error_details?: string | null | undefined;
          error_message?: string | null | undefined;
          failed_by?: string | null | undefined;
          gate?: string | undefined;
          generation_created?: boolean | undefined;
          generation_processed_at?: string | null | undefined;
          generation_started_at?: string | null | undefined;
          hand_backs?: number | undefined;
          id?: string | undefined;
          lease_ended_at?: string | null | undefined;
          lease_token?: string | null | undefined;
          leased_at?: string | null | undefined;
          leases?: number | undefined;
          output_location?: string | null | undefined;
          params?: JsonInput | undefined;
          parent_id?: string | null | undefined;
          pool?: string | null | undefined;
          priority?: number | undefined;
          progress?: number | null | undefined;
          progress_at?: string | null | undefined;
          progress_message?: string | null | undefined;
          project_id?: string | undefined;
          reopened_at?: string | null | undefined;
          reports_progress?: boolean | undefined;
          result_data?: JsonInput | null | undefined;
          status?: string | undefined;
          task_type: string;
          updated_at?: string | undefined;
          vtime?: number | undefined;
          worker_id?: string | null | undefined;
        };
        Update: {
          after_siblings?: boolean | undefined;
          attempts?: number | undefined;
          claimable_at?: string | null | undefined;
          created_at?: string | undefined;
          delayed_until?: string | null | undefined;
          delegated_at?: string | null | undefined;
          dependant_on?: string | null | undefined;
          error_details?: string | null | undefined;
          error_message?: string | null | undefined;
          failed_by?: string | null | undefined;
          gate?: string | undefined;
          generation_created?: boolean | undefined;
          generation_processed_at?: string | null | undefined;
          generation_started_at?: string | null | undefined;
          hand_backs?: number | undefined;
          id?: string | undefined;
          lease_ended_at?: string | null | undefined;
          lease_token?: string | null | undefined;
          leased_at?: string | null | undefined;
          leases?: number | undefined;
          output_location?: string | null | undefined;
          params?: JsonInput | undefined;
          parent_id?: string | null | undefined;
          pool?: string | null | undefined;
          priority?: number | undefined;
          progress?: number | null | undefined;
          progress_at?: string | null | undefined;
          progress_message?: string | null | undefined;
          project_id?: string | undefined;
          reopened_at?: string | null | undefined;
          reports_progress?: boolean | undefined;
          result_data?: JsonInput | null | undefined;
          status?: string | undefined;
          task_type?: string | undefined;
          updated_at?: string | undefined;
          vtime?: number | undefined;
          worker_id?: string | null | undefined;
        };
        Relationships: [
          {
            foreignKeyName: "tasks_dependant_on_fkey";
            columns: ["dependant_on"];
            isOneToOne: false;
            referencedRelation: "tasks";
            referencedColumns: ["id"];
          },
          {
            foreignKeyName: "tasks_project_id_fkey";
            columns: ["project_id"];
            isOneToOne: false;
            referencedRelation: "projects";
            referencedColumns: ["id"];
          },
        ];
      };
      user_api_tokens: {
        Row: {
          created_at: string;
          id: string;
          label: string | null;
          last_used_at: string | null;
          revoked_at: string | null;
          token_hash: string | null;
          user_id: string | null;
        };
        Insert: {
          created_at?: string | undefined;
          id?: string | undefined;
          label?: string | null | undefined;
          last_used_at?: string | null | undefined;
          revoked_at?: string | null | undefined;
          token_hash?: string | null | undefined;
          user_id?: string | null | undefined;
        };
        Update: {
          created_at?: string | undefined;
          id?: string | undefined;
          label?: string | null | undefined;
          last_used_at?: string | null | undefined;
          revoked_at?: string | null | undefined;
          token_hash?: string | null | undefined;
          user_id?: string | null | undefined;
        };
        Relationships: [];
      };
      volume_requests: {
        Row: {
          asked_at: string;
          name: string;
          volume_id: string | null;
        };
        Insert: {
          asked_at?: string | undefined;
          name: string;
          volume_id?: string | null | undefined;
        };
        Update: {
          asked_at?: string | undefined;
          name?: string | undefined;
          volume_id?: string | null | undefined;
        };
        Relationships: [];
      };
      wake_requests: {
        Row: {
          pool: string;
          requested_at: string;
          taken_at: string | null;
        };
        Insert: {
          pool: string;
          requested_at?: string | undefined;
          taken_at?: string | null | undefined;
        };
        Update: {
          pool?: string | undefined;
          requested_at?: string | undefined;
          taken_at?: string | null | undefined;
        };
        Relationships: [
          {
            foreignKeyName: "wake_requests_pool_fkey";
            columns: ["pool"];
            isOneToOne: true;
            referencedRelation: "pools";
            referencedColumns: ["name"];
          },
        ];
      };
      worker_diagnostics: {
        Row: {
          collected_at: string;
          details: Json;
          id: number;
          reason: string;
          worker_id: string;
        };
        Insert: {
          collected_at?: string | undefined;
          details?: JsonInput | undefined;
          reason: string;
          worker_id: string;
        };
        Update: {
          collected_at?: string | undefined;
          details?: JsonInput | undefined;
          reason?: string | undefined;
          worker_id?: string | undefined;
        };
        Relationships: [];
      };
      worker_processes: {
        Row: {
          host: string;
          id: string;
          leads: boolean;
          pid: number | null;
          seen_at: string;
          started_at: string;
          task_queue: string;
          version: string;
        };
        Insert: {
          host: string;
          id: string;
          leads?: boolean | undefined;
          pid?: number | null | undefined;
          seen_at?: string | undefined;
          started_at?: string | undefined;
          task_queue: string;
          version: string;
        };
        Update: {
          host?: string | undefined;
          id?: string | undefined;
          leads?: boolean | undefined;
          pid?: number | null | undefined;
          seen_at?: string | undefined;
          started_at?: string | undefined;
          task_queue?: string | undefined;
          version?: string | undefined;
        };
        Relationships: [];
      };
      workers: {
        Row: {
          beat_hash: string | null;
          boot_stage: string;
          boot_stage_at: string;
          broken_at: string | null;
          broken_reason: string | null;
          cloud: string | null;
          cost_per_hr_usd: number | null;
          cost_usd: number | null;
          created_at: string;
          data_center: string | null;
          decision_id: string | null;
          deleted_at: string | null;
          drains_without_deadline: boolean;
          expected_usd_per_hr: number | null;
          failed_at: string | null;
          failed_on: string | null;
          gone_at: string | null;
          id: string;
          instance_type: string | null;
          last_heartbeat: string | null;
          last_signal: string | null;
          last_signal_at: string | null;
          metadata: Json;
          origin: string;
          pod_created_at: string | null;
          pod_id: string | null;
          pool: string;
          post_state: string | null;
          posted_at: string | null;
          ready_at: string | null;
          status: string;
          status_reason: string | null;
          task_types: string[] | null;
          task_types_at: string | null;
          terminating_at: string | null;
          token_expires_at: string | null;
          token_hash: string | null;
          user_id: string | null;
          vram_at: string | null;
          vram_total_mb: number | null;
          vram_used_mb: number | null;
        };
        Insert: {
          beat_hash?: string | null | undefined;
          boot_stage?: string | undefined;
          boot_stage_at?: string | undefined;
          broken_at?: string | null | undefined;
          broken_reason?: string | null | undefined;
          cloud?: string | null | undefined;
          cost_per_hr_usd?: number | null | undefined;
          cost_usd?: number | null | undefined;
          created_at?: string | undefined;
          data_center?: string | null | undefined;
          decision_id?: string | null | undefined;
          deleted_at?: string | null | undefined;
          drains_without_deadline?: boolean | undefined;
          expected_usd_per_hr?: number | null | undefined;
          failed_at?: string | null | undefined;
          failed_on?: string | null | undefined;
          gone_at?: string | null | undefined;
          id: string;
          instance_type?: string | null | undefined;
          last_heartbeat?: string | null | undefined;
          last_signal?: string | null | undefined;
          last_signal_at?: string | null | undefined;
          metadata?: JsonInput | undefined;
          origin?: string | undefined;
          pod_created_at?: string | null | undefined;
          pod_id?: string | null | undefined;
          pool: string;
          post_state?: string | null | undefined;
          posted_at?: string | null | undefined;
          ready_at?: string | null | undefined;
          status?: string | undefined;
          status_reason?: string | null | undefined;
          task_types?: string[] | null | undefined;
          task_types_at?: string | null | undefined;
          terminating_at?: string | null | undefined;
          token_expires_at?: string | null | undefined;
          token_hash?: string | null | undefined;
          user_id?: string | null | undefined;
          vram_at?: string | null | undefined;
          vram_total_mb?: number | null | undefined;
          vram_used_mb?: number | null | undefined;
        };
        Update: {
          beat_hash?: string | null | undefined;
          boot_stage?: string | undefined;
          boot_stage_at?: string | undefined;
          broken_at?: string | null | undefined;
          broken_reason?: string | null | undefined;
          cloud?: string | null | undefined;
          cost_per_hr_usd?: number | null | undefined;
          cost_usd?: number | null | undefined;
          created_at?: string | undefined;
          data_center?: string | null | undefined;
          decision_id?: string | null | undefined;
          deleted_at?: string | null | undefined;
          drains_without_deadline?: boolean | undefined;
          expected_usd_per_hr?: number | null | undefined;
          failed_at?: string | null | undefined;
          failed_on?: string | null | undefined;
          gone_at?: string | null | undefined;
          id?: string | undefined;
          instance_type?: string | null | undefined;
          last_heartbeat?: string | null | undefined;
          last_signal?: string | null | undefined;
          last_signal_at?: string | null | undefined;
          metadata?: JsonInput | undefined;
          origin?: string | undefined;
          pod_created_at?: string | null | undefined;
          pod_id?: string | null | undefined;
          pool?: string | undefined;
          post_state?: string | null | undefined;
          posted_at?: string | null | undefined;
          ready_at?: string | null | undefined;
          status?: string | undefined;
          status_reason?: string | null | undefined;
          task_types?: string[] | null | undefined;
          task_types_at?: string | null | undefined;
          terminating_at?: string | null | undefined;
          token_expires_at?: string | null | undefined;
          token_hash?: string | null | undefined;
          user_id?: string | null | undefined;
          vram_at?: string | null | undefined;
          vram_total_mb?: number | null | undefined;
          vram_used_mb?: number | null | undefined;
        };
        Relationships: [
          {
            foreignKeyName: "workers_pool_fkey";
            columns: ["pool"];
            isOneToOne: false;
            referencedRelation: "pools";
            referencedColumns: ["name"];
          },
        ];
      };
    };
    Views: {
      active_workers_health: {
        Row: {
          age_sec: number | null;
          boot_stage: string | null;
          current_task_id: string | null;
          heartbeat_age_sec: number | null;
          idle_sec: number | null;
          origin: string | null;
          pool: string | null;
          progress: number | null;
          reported_status: string | null;
          since_progress_sec: number | null;
          status: string | null;
          status_reason: string | null;
          task_running_sec: number | null;
          vram_total_mb: number | null;
          vram_used_mb: number | null;
          vram_used_percent: number | null;
          worker_id: string | null;
        };
        Relationships: [];
      };
      living_workers: {
        Row: {
          boot_stage: string | null;
          boot_stage_at: string | null;
          cost_per_hr_usd: number | null;
          created_at: string | null;
          id: string | null;
          instance_type: string | null;
          last_heartbeat: string | null;
          leased_at: string | null;
          origin: string | null;
          phase: string | null;
          pool: string | null;
          progress: number | null;
          task_id: string | null;
          task_type: string | null;
          usd_per_hour: number | null;
        };
        Relationships: [];
      };
      normalized_task_status: {
        Row: {
          attempts: number | null;
          created_at: string | null;
          detail: string | null;
          normalized_status: string | null;
          project_id: string | null;
          status: string | null;
          task_id: string | null;
          task_type: string | null;
          updated_at: string | null;
          worker_id: string | null;
        };
        Relationships: [];
      };
      open_leases: {
        Row: {
          attempt: number | null;
          lease_token: string | null;
          model: string | null;
          progress: number | null;
          progress_at: string | null;
          started_at: string | null;
          stuck_timeout_sec: number | null;
          task_id: string | null;
          task_type: string | null;
          worker_id: string | null;
        };
        Relationships: [];
      };
      orchestrator_status: {
        Row: {
          active: number | null;
          busy: number | null;
          cost_per_hr_usd: number | null;
          delegated: number | null;
          error: number | null;
          hold: number | null;
          mode: string | null;
          observed_age_sec: number | null;
          observed_at: string | null;
          pool: string | null;
          queued: number | null;
          running: number | null;
          spawning: number | null;
          terminating: number | null;
          waiting: number | null;
        };
        Relationships: [];
      };
      recent_task_activity: {
        Row: {
          attempts: number | null;
          created_at: string | null;
          error_message: string | null;
          generation_processed_at: string | null;
          generation_started_at: string | null;
          output_location: string | null;
          pool: string | null;
          processing_sec: number | null;
          project_id: string | null;
          status: string | null;
          task_id: string | null;
          task_type: string | null;
          updated_at: string | null;
          waiting_sec: number | null;
          worker_id: string | null;
        };
        Relationships: [];
      };
      task_attempts: {
        Row: {
          attempt: number | null;
          cause: string | null;
          claimable_at: string | null;
          ended_at: string | null;
          error: string | null;
          lease_token: string | null;
          progress: number | null;
          progress_at: string | null;
          progress_message: string | null;
          reports_progress: boolean | null;
          started_at: string | null;
          task_id: string | null;
          worker_id: string | null;
        };
        Relationships: [];
      };
      task_costs: {
        Row: {
          attempts: number | null;
          busy_sec: number | null;
          cost_usd: number | null;
          project_id: string | null;
          status: string | null;
          task_id: string | null;
          task_type: string | null;
        };
        Relationships: [];
      };
      task_kinds: {
        Row: {
          model: string | null;
          task_id: string | null;
          task_type: string | null;
        };
        Relationships: [];
      };
      task_queue_analysis: {
        Row: {
          blocked: number | null;
          claimable: number | null;
          delayed: number | null;
          delegated: number | null;
          held: number | null;
          longest_running_sec: number | null;
          oldest_queued_sec: number | null;
          pool: string | null;
          running: number | null;
          task_type: string | null;
        };
        Relationships: [];
      };
      v_recent_errors: {
        Row: {
          id: number | null;
          log_level: string | null;
          message: string | null;
          metadata: Json | null;
          source_id: string | null;
          source_type: string | null;
          task_id: string | null;
          timestamp: string | null;
          worker_id: string | null;
        };
        Relationships: [];
      };
      v_worker_log_activity: {
        Row: {
          errors: number | null;
          first_line_at: string | null;
          last_line_at: string | null;
          lines: number | null;
          silent_sec: number | null;
          warnings: number | null;
          worker_id: string | null;
        };
        Relationships: [];
      };
      worker_costs: {
        Row: {
          billed_sec: number | null;
          booked: boolean | null;
          busy_sec: number | null;
          cost_per_hr_usd: number | null;
          cost_usd: number | null;
          instance_type: string | null;
          pool: string | null;
          status: string | null;
          tasks: number | null;
          worker_id: string | null;
        };
        Relationships: [];
      };
      worker_performance: {
        Row: {
          attempts: number | null;
          boot_sec: number | null;
          completed: number | null;
          completed_per_hour: number | null;
          cost_per_completed_usd: number | null;
          cost_usd: number | null;
          failed: number | null;
          instance_type: string | null;
          mean_processing_sec: number | null;
          pool: string | null;
          status: string | null;
          success_percent: number | null;
          worker_id: string | null;
        };
        Relationships: [];
      };
    };
    Functions: {
      account_spend: {
        Args: {
          p_pool: string | null;
        };
        Returns: {
          hourly_usd: number;
          today_usd: number;
          price_usd: number;
          unpriced: number;
        };
      };
      api_authorize_upload: {
        Args: {
          p_task_id: string | null;
          p_lease_token?: string | null;
        };
        Returns: Json;
      };
      api_caller: {
        Args: Record<PropertyKey, never>;
        Returns: Json;
      };
      api_cancel_task: {
        Args: {
          p_id: string | null;
        };
        Returns: Json;
      };
      api_claim_task: {
        Args: {
          p_worker_id: string | null;
          p_task_types?: string[] | null;
        };
        Returns: Json;
      };
      api_completed_segments: {
        Args: {
          p_run_id: string | null;
          p_project_id: string | null;
        };
        Returns: Json;
      };
      api_create_task: {
        Args: {
          p_task: JsonInput | null;
        };
        Returns: Json;
      };
      api_create_token: {
        Args: {
          p_label: string | null;
          p_user_id?: string | null;
        };
        Returns: Json;
      };
      api_delegate_task: {
        Args: {
          p_task_id: string | null;
          p_sub_tasks?: JsonInput | null;
          p_result_task_id?: string | null;
          p_lease_token?: string | null;
        };
        Returns: Json;
      };
      api_find_task: {
        Args: {
          p_caller: JsonInput | null;
          p_id: string | null;
        };
        Returns: Schema["public"]["Tables"]["tasks"]["Row"];
      };
      api_finish_task: {
        Args: {
          p_task_id: string | null;
          p_storage_path: string | null;
          p_output_location: string | null;
          p_result?: JsonInput | null;
          p_lease_token?: string | null;
        };
        Returns: Json;
      };
      api_get_task: {
        Args: {
          p_id: string | null;
        };
        Returns: Json;
      };
      api_known_caller: {
        Args: Record<PropertyKey, never>;
        Returns: Json;
      };
      api_lease: {
        Args: {
          p_task_id: string | null;
          p_lease_token?: string | null;
        };
        Returns: Schema["public"]["Views"]["task_attempts"]["Row"];
      };
      api_list_tasks: {
        Args: {
          p_filter?: JsonInput | null;
        };
        Returns: Json;
      };
      api_may_use: {
        Args: {
          p_caller: JsonInput | null;
          p_project: string | null;
        };
        Returns: boolean;
      };
      api_predecessor_output: {
        Args: {
          p_task_id: string | null;
        };
        Returns: Json;
      };
      api_read_tasks: {
        Args: {
          p_id?: string | null;
          p_parent_id?: string | null;
          p_worker_id?: string | null;
        };
        Returns: Schema["public"]["Tables"]["tasks"]["Row"][];
      };
      api_refuse: {
        Args: {
          p_code: string | null;
          p_field: string | null;
          p_message: string | null;
        };
        Returns: undefined;
      };
      api_revoke_token: {
        Args: {
          p_id: string | null;
        };
        Returns: Json;
      };
      api_service_request: {
        Args: {
          p_task_id: string | null;
          p_lease_token: string | null;
          p_service: string | null;
          p_keeps?: boolean | null;
          p_request_id?: string | null;
          p_mark?: string | null;
        };
        Returns: Json;
      };
      api_task_output: {
        Args: {
          p_task_id: string | null;
        };
        Returns: Json;
      };
      api_update_task: {
        Args: {
          p_task_id: string | null;
          p_status: string | null;
          p_note?: string | null;
          p_reset_started?: boolean | null;
          p_lease_token?: string | null;
        };
        Returns: Json;
      };
      api_uuid: {
        Args: {
          p_body: JsonInput | null;
          p_field: string | null;
        };
        Returns: string;
      };
      applied_migrations: {
        Args: Record<PropertyKey, never>;
        Returns: string[];
      };
      attempt_limit: {
        Args: Record<PropertyKey, never>;
        Returns: number;
      };
      attempt_of_name: {
        Args: {
          p_name: string | null;
        };
        Returns: string;
      };
      attempts_since: {
        Args: {
          p_pool: string | null;
          p_from: string | null;
        };
        Returns: {
          task_id: string;
          gpu_type: string;
          started_at: string;
          claimable_at: string;
          ended_at: string;
          cause: string;
        }[];
      };
      authorize_upload: {
        Args: {
          p_task_id: string | null;
          p_lease_token: string | null;
        };
        Returns: Json;
      };
      boot_figures: {
        Args: {
          p_pool: string | null;
        };
        Returns: Json;
      };
      boot_stage_rank: {
        Args: {
          p_stage: string | null;
        };
        Returns: number;
      };
      cancel_left_sub_tasks: {
        Args: {
          p_most: number | null;
        };
        Returns: string[];
      };
      cancel_sub_tasks: {
        Args: {
          p_parent: string | null;
          p_project: string | null;
          p_how: string | null;
        };
        Returns: string[];
      };
      claim_otherwise: {
        Args: {
          p_worker_id: string | null;
          p_resumes?: boolean | null;
        };
        Returns: Json;
      };
      claim_problem: {
        Args: {
          p_worker_id: string | null;
          p_task_id: string | null;
        };
        Returns: string;
      };
      claim_task: {
        Args: {
          p_worker_id: string | null;
        };
        Returns: Json;
      };
      claims_problem: {
        Args: {
          p_worker_id: string | null;
          p_pool: string | null;
          p_task_type: string | null;
        };
        Returns: string;
      };
      clean_up_table: {
        Args: {
          p_table: string | null;
          p_days: number | null;
          p_limit?: number | null;
        };
        Returns: Json;
      };
      close_alert: {
        Args: {
          p_kind: string | null;
          p_subject: string | null;
        };
        Returns: boolean;
      };
      close_attempt: {
        Args: {
          p_task_id: string | null;
          p_attempt: number | null;
          p_cause: string | null;
          p_error: string | null;
          p_permanent?: boolean | null;
          p_handed_back?: boolean | null;
        };
        Returns: string;
      };
      close_worker_leases: {
        Args: {
          p_worker_id: string | null;
          p_cause: string | null;
          p_reason: string | null;
        };
        Returns: number;
      };
      cost_bills: {
        Args: {
          p_daily: boolean | null;
          p_from: string | null;
          p_to: string | null;
          p_pool: string | null;
        };
        Returns: {
          worker_id: string;
          pool: string;
          gpu: string;
          about: string;
          day: string;
          from_at: string;
          to_at: string;
          usd_per_hr: number;
          sec: number;
          boot_sec: number;
        }[];
      };
      cost_report: {
        Args: {
          p_by: string | null;
          p_from: string | null;
          p_to: string | null;
          p_pool?: string | null;
          p_limit?: number | null;
        };
        Returns: Json;
      };
      count_line: {
        Args: {
          p_pool: string | null;
          p_types: string[] | null;
        };
        Returns: number;
      };
      default_pool: {
        Args: Record<PropertyKey, never>;
        Returns: string;
      };
      delegate_task: {
        Args: {
          p_task_id: string | null;
          p_lease_token: string | null;
          p_result_task_id?: string | null;
          p_sub_tasks?: JsonInput | null;
        };
        Returns: Json;
      };
      delete_workers: {
        Args: {
          p_ids: string[] | null;
        };
        Returns: number;
      };
      demand_figures: {
        Args: {
          p_pool: string | null;
          p_types: string[] | null;
        };
        Returns: Json;
      };
      deployment_id: {
        Args: Record<PropertyKey, never>;
        Returns: string;
      };
      drain_external_worker: {
        Args: {
          p_worker_id: string | null;
          p_reason: string | null;
        };
        Returns: Json;
      };
      drain_worker: {
        Args: {
          p_worker_id: string | null;
          p_reason: string | null;
          p_only_idle: boolean | null;
          p_until_task_ends?: boolean | null;
        };
        Returns: Json;
      };
      drain_workers: {
        Args: {
          p_orders: JsonInput | null;
        };
        Returns: Json;
      };
      end_external_worker: {
        Args: {
          p_worker_id: string | null;
          p_evidence: string | null;
          p_lease_cause: string | null;
          p_reason: string | null;
          p_failed_since_ms?: number | null;
        };
        Returns: string;
      };
      end_pod_job: {
        Args: {
          p_worker_id: string | null;
          p_reason: string | null;
        };
        Returns: undefined;
      };
      end_together: {
        Args: {
          p_ids: string[] | null;
          p_status: string | null;
          p_failed_by: string | null;
          p_error: string | null;
        };
        Returns: string[];
      };
      end_waiting_parents: {
        Args: {
          p_most: number | null;
        };
        Returns: string[];
      };
      exact_numbers: {
        Args: {
          p_value: JsonInput | null;
        };
        Returns: Json;
      };
      examine_head: {
        Args: {
          p_worker_id: string | null;
        };
        Returns: Json;
      };
      examine_in_time: {
        Args: {
          p_worker_id: string | null;
        };
        Returns: Json;
      };
      examine_line: {
        Args: {
          p_pool: string | null;
          p_wait_sec?: number | null;
        };
        Returns: Json;
      };
      expect_no_progress: {
        Args: {
          p_task_id: string | null;
          p_attempt: number | null;
        };
        Returns: undefined;
      };
      expel_worker: {
        Args: {
          p_worker_id: string | null;
          p_reason: string | null;
        };
        Returns: number;
      };
      expire_external_workers: {
        Args: {
          p_pool: string | null;
          p_silent_sec: number | null;
          p_stuck_sec: number | null;
        };
        Returns: Json;
      };
      fail_sub_tasks_behind: {
        Args: {
          p_parent: string | null;
        };
        Returns: undefined;
      };
      fail_task: {
        Args: {
          p_task_id: string | null;
          p_lease_token: string | null;
          p_error: string | null;
          p_permanent?: boolean | null;
        };
        Returns: Json;
      };
      fail_worker: {
        Args: {
          p_worker_id: string | null;
          p_lease_cause: string | null;
          p_reason: string | null;
          p_heartbeat_ms?: number | null;
          p_require_spawning?: boolean | null;
          p_evidence?: string | null;
          p_progress_ms?: number | null;
          p_failed_since_ms?: number | null;
        };
        Returns: Json;
      };
      failed_boots: {
        Args: {
          p_pool: string | null;
          p_limit?: number | null;
          p_hours?: number | null;
        };
        Returns: Json;
      };
      failed_runs: {
        Args: {
          p_pool: string | null;
          p_min_tasks: number | null;
          p_window_min: number | null;
          p_proof_min: number | null;
        };
        Returns: Json;
      };
      failed_together: {
        Args: {
          p_ids: string[] | null;
        };
        Returns: string[];
      };
      failure_likeness: {
        Args: {
          p_text: string | null;
        };
        Returns: string;
      };
      file_record: {
        Args: {
          p_file: JsonInput | null;
        };
        Returns: Json;
      };
      file_url: {
        Args: {
          p_bucket: string | null;
          p_name: string | null;
          p_project: string | null;
        };
        Returns: string;
      };
      finds_nothing: {
        Args: {
          p_worker_id: string | null;
        };
        Returns: boolean;
      };
      finish_and_claim: {
        Args: {
          p_task_id: string | null;
          p_lease_token: string | null;
          p_storage_path: string | null;
          p_output_location: string | null;
          p_result: JsonInput | null;
        };
        Returns: Json;
      };
      finish_task: {
        Args: {
          p_task_id: string | null;
          p_lease_token: string | null;
          p_storage_path: string | null;
          p_output_location: string | null;
          p_result: JsonInput | null;
        };
        Returns: Json;
      };
      first_types: {
        Args: {
          p_most: number | null;
        };
        Returns: string[];
      };
      fit_line: {
        Args: {
          p_line: JsonInput | null;
        };
        Returns: Json;
      };
      fit_text: {
        Args: {
          p_column: string | null;
          p_value: JsonInput | null;
        };
        Returns: string;
      };
      func_claim_available_task:
        | {
            Args: {
              p_table_name: string | null;
              p_worker_id: string | null;
            };
            Returns: {
              task_id_out: string;
              params_out: Json;
              task_type_out: string;
              project_id_out: string;
            }[];
          }
        | {
            Args: {
              worker_id_param: string | null;
            };
            Returns: {
              id: string;
              params: Json;
              task_type: string;
              project_id: string;
              attempt: number;
              lease_token: string;
              status: string;
              attempts: number;
              worker_id: string;
              generation_started_at: string;
              task_data: Json;
              created_at: string;
            }[];
          };
      func_claim_task: {
        Args: {
          p_table_name: string | null;
          p_worker_id: string | null;
        };
        Returns: {
          task_id_out: string;
          params_out: Json;
          task_type_out: string;
          project_id_out: string;
        }[];
      };
      func_cleanup_old_logs: {
        Args: {
          retention_hours?: number | null;
        };
        Returns: Json;
      };
      func_get_tasks_by_status: {
        Args: {
          status_filter: string[] | null;
        };
        Returns: {
          id: string;
          task_type: string;
          params: Json;
          status: string;
          attempts: number;
          worker_id: string;
          project_id: string;
          dependant_on: string;
          priority: number;
          pool: string;
          gate: string;
          vtime: number;
          output_location: string;
          result_data: Json;
          error_message: string;
          generation_started_at: string;
          generation_processed_at: string;
          generation_created: boolean;
          created_at: string;
          updated_at: string;
          parent_id: string;
          delegated_at: string;
          error_details: string;
          hand_backs: number;
          delayed_until: string;
          failed_by: string;
          reopened_at: string;
          leases: number;
          lease_token: string;
          leased_at: string;
          lease_ended_at: string;
          claimable_at: string;
          progress: number;
          progress_message: string;
          progress_at: string;
          reports_progress: boolean;
          after_siblings: boolean;
          task_data: Json;
        }[];
      };
      func_insert_logs_batch: {
        Args: {
          logs: JsonInput | null;
        };
        Returns: Json;
      };
      func_mark_task_complete: {
        Args: {
          p_task_id?: string | null;
          p_result?: JsonInput | null;
          p_lease_token?: string | null;
          task_id_param?: string | null;
          result_data_param?: JsonInput | null;
        };
        Returns: Json;
      };
      func_mark_task_failed: {
        Args: {
          p_task_id?: string | null;
          p_error_message?: string | null;
          p_lease_token?: string | null;
          task_id_param?: string | null;
          error_message_param?: string | null;
        };
        Returns: Json;
      };
      func_reset_orphaned_tasks: {
        Args: {
          failed_worker_ids: string[] | null;
        };
        Returns: number;
      };
      func_update_task_status: {
        Args: {
          p_table_name: string | null;
          p_task_id: string | null;
          p_status: string | null;
          p_output_location?: string | null;
        };
        Returns: Json;
      };
      func_update_worker_heartbeat: {
        Args: {
          worker_id_param: string | null;
          vram_total_mb_param?: number | null;
          vram_used_mb_param?: number | null;
        };
        Returns: Json;
      };
      func_worker_heartbeat_with_logs: {
        Args: Record<string, JsonInput>;
        Returns: Json;
      };
      gate_together: {
        Args: {
          p_ids: string[] | null;
          p_gate: string | null;
        };
        Returns: string[];
      };
      hand_back_delay: {
        Args: {
          p_hand_backs: number | null;
        };
        Returns: string;
      };
      has_completed_since: {
        Args: {
          p_worker_id: string | null;
          p_since_ms: number | null;
        };
        Returns: boolean;
      };
      has_long_number: {
        Args: {
          p_value: JsonInput | null;
        };
        Returns: boolean;
      };
      is_own_object: {
        Args: {
          p_task_id: string | null;
          p_name: string | null;
        };
        Returns: boolean;
      };
      is_refusal: {
        Args: {
          p_sqlstate: string | null;
        };
        Returns: boolean;
      };
      is_reserved_pool: {
        Args: {
          p_name: string | null;
        };
        Returns: boolean;
      };
      is_service: {
        Args: Record<PropertyKey, never>;
        Returns: boolean;
      };
      is_url_field: {
        Args: {
          p_key: string | null;
        };
        Returns: boolean;
      };
      janitor_bury: {
        Args: {
          p_worker_id: string | null;
          p_pool: string | null;
          p_subject: string | null;
          p_pod_id: string | null;
          p_cost_per_hr_usd: number | null;
          p_created_at: string | null;
          p_reason: string | null;
          p_max: number | null;
        };
        Returns: string;
      };
      janitor_sight: {
        Args: {
          p_seen: string[] | null;
          p_over: string[] | null;
        };
        Returns: undefined;
      };
      janitor_stock: {
        Args: {
          p_names: string[] | null;
          p_living: boolean | null;
        };
        Returns: Json;
      };
      journal: {
        Args: {
          p_pool: string | null;
          p_kind: string | null;
          p_reason: string | null;
          p_worker_id?: string | null;
          p_decision_id?: string | null;
          p_details?: JsonInput | null;
        };
        Returns: undefined;
      };
      json_problem: {
        Args: {
          p_value: JsonInput | null;
          p_times?: number | null;
        };
        Returns: string[];
      };
      keep_request: {
        Args: {
          p_task_id: string | null;
          p_lease_token: string | null;
          p_service: string | null;
          p_request_id?: string | null;
          p_mark?: string | null;
        };
        Returns: Json;
      };
      kept_request: {
        Args: {
          p_task_id: string | null;
          p_lease_token: string | null;
          p_service: string | null;
        };
        Returns: Json;
      };
      known_url: {
        Args: {
          p_value: JsonInput | null;
        };
        Returns: Json;
      };
      learn_wait_value: {
        Args: {
          p_pool: string | null;
          p_target: JsonInput | null;
          p_waits: number[] | null;
        };
        Returns: undefined;
      };
      lease_next: {
        Args: {
          p_worker_id: string | null;
          p_task_id?: string | null;
          p_straight?: boolean | null;
        };
        Returns: Json;
      };
      lease_of_types: {
        Args: {
          p_worker_id: string | null;
        };
        Returns: Json;
      };
      list_tasks: {
        Args: {
          p_limit: number | null;
          p_status?: string[] | null;
          p_type?: string | null;
          p_pool?: string | null;
          p_project?: string | null;
          p_since?: string | null;
          p_before?: string | null;
          p_after?: string | null;
        };
        Returns: Json;
      };
      list_workers: {
        Args: {
          p_limit: number | null;
          p_pool?: string | null;
          p_phases?: string[] | null;
          p_gpu?: string | null;
          p_silent_sec?: number | null;
          p_gone_since?: string | null;
        };
        Returns: Json;
      };
      living_processes: {
        Args: Record<PropertyKey, never>;
        Returns: Json;
      };
      lock_lease: {
        Args: {
          p_task_id: string | null;
          p_lease_token: string | null;
        };
        Returns: Schema["public"]["Views"]["task_attempts"]["Row"];
      };
      lock_parents: {
        Args: {
          p_parent: string | null;
        };
        Returns: undefined;
      };
      log_time: {
        Args: {
          p_text: string | null;
        };
        Returns: string;
      };
      metric_add_durations: {
        Args: {
          p_metric: string | null;
          p_pools: string[] | null;
          p_values: number[] | null;
          p_bounds: number[] | null;
        };
        Returns: undefined;
      };
      metric_count: {
        Args: {
          p_from: string | null;
          p_to: string | null;
        };
        Returns: undefined;
      };
      metric_pools: {
        Args: Record<PropertyKey, never>;
        Returns: Json;
      };
      metrics_read: {
        Args: {
          p_process: string | null;
        };
        Returns: Json;
      };
      next_place: {
        Args: {
          p_pool: string | null;
          p_priority: number | null;
          p_project: string | null;
        };
        Returns: number;
      };
      next_worker_types: {
        Args: {
          p_pool: string | null;
          p_profile: string[] | null;
        };
        Returns: string[];
      };
      note_disk: {
        Args: {
          p_host: string | null;
          p_free_part: number | null;
        };
        Returns: undefined;
      };
      note_files_url: {
        Args: {
          p_url: string | null;
        };
        Returns: undefined;
      };
      note_funds: {
        Args: {
          p_posted_at: string | null;
        };
        Returns: undefined;
      };
      note_in_progress: {
        Args: {
          p_task_id: string | null;
          p_attempt: number | null;
          p_message?: string | null;
        };
        Returns: undefined;
      };
      note_miss: {
        Args: {
          p_pool: string | null;
          p_place: JsonInput | null;
          p_reason: string | null;
        };
        Returns: undefined;
      };
      note_no_funds: {
        Args: {
          p_worker_id: string | null;
          p_reason: string | null;
        };
        Returns: undefined;
      };
      note_no_place: {
        Args: {
          p_worker_id: string | null;
          p_reason: string | null;
        };
        Returns: undefined;
      };
      note_place: {
        Args: {
          p_pool: string | null;
          p_posted_at: string | null;
        };
        Returns: undefined;
      };
      note_repairs: {
        Args: {
          p_task_ids: string[] | null;
          p_repair: string | null;
        };
        Returns: undefined;
      };
      note_reported_status: {
        Args: {
          p_worker_id: string | null;
          p_status: string | null;
          p_said?: JsonInput | null;
        };
        Returns: undefined;
      };
      notify_endpoints: {
        Args: {
          p_kind: string | null;
          p_project_id: string | null;
          p_pool: string | null;
          p_payload: JsonInput | null;
        };
        Returns: undefined;
      };
      one_line: {
        Args: {
          p_text: string | null;
        };
        Returns: string;
      };
      open_alert: {
        Args: {
          p_kind: string | null;
          p_subject: string | null;
          p_pool: string | null;
          p_message: string | null;
        };
        Returns: boolean;
      };
      open_claim: {
        Args: {
          p_worker_id: string | null;
        };
        Returns: Json;
      };
      open_delayed_tasks: {
        Args: {
          p_pool: string | null;
          p_most?: number | null;
          p_worker_id?: string | null;
        };
        Returns: string[];
      };
      open_forgotten_tasks: {
        Args: {
          p_most: number | null;
        };
        Returns: string[];
      };
      open_held_tasks: {
        Args: {
          p_project: string | null;
          p_most?: number | null;
        };
        Returns: string[];
      };
      open_lease: {
        Args: {
          p_task_id: string | null;
          p_lease_token: string | null;
        };
        Returns: string;
      };
      order_worker: {
        Args: {
          p_pool: string | null;
          p_worker_id: string | null;
          p_kind: string | null;
          p_reason: string | null;
        };
        Returns: Json;
      };
      orphan_files: {
        Args: {
          p_bucket: string | null;
          p_days: number | null;
          p_after?: string | null;
          p_limit?: number | null;
        };
        Returns: Json;
      };
      other_worker_wait: {
        Args: Record<PropertyKey, never>;
        Returns: string;
      };
      outbox_clean: {
        Args: {
          p_retention_hours?: number | null;
        };
        Returns: Json;
      };
      outbox_delivered: {
        Args: {
          p_id: number | null;
        };
        Returns: boolean;
      };
      outbox_failed: {
        Args: {
          p_id: number | null;
          p_error: string | null;
          p_retry_sec: number | null;
          p_dead?: boolean | null;
        };
        Returns: boolean;
      };
      outbox_take: {
        Args: {
          p_limit: number | null;
        };
        Returns: Json;
      };
      own_lease: {
        Args: {
          p_task_id: string | null;
          p_lease_token: string | null;
        };
        Returns: Schema["public"]["Views"]["task_attempts"]["Row"];
      };
      percent_decoded: {
        Args: {
          p_text: string | null;
        };
        Returns: string;
      };
      percent_encoded: {
        Args: {
          p_name: string | null;
        };
        Returns: string;
      };
      personal_worker_id: {
        Args: {
          p_user_id: string | null;
          p_worker_id: string | null;
        };
        Returns: string;
      };
      pod_job_report: {
        Args: {
          p_worker_id: string | null;
          p_report: JsonInput | null;
          p_state?: string | null;
        };
        Returns: Json;
      };
      pool_begin_watch: {
        Args: {
          p_pool: string | null;
          p_watch_id: string | null;
          p_environment?: JsonInput | null;
          p_started_at?: string | null;
        };
        Returns: undefined;
      };
      pool_count_signals: {
        Args: {
          p_pool: string | null;
          p_before: string | null;
          p_run: string | null;
          p_written: number | null;
          p_reset?: string | null;
        };
        Returns: undefined;
      };
      pool_dashboard: {
        Args: {
          p_pool: string | null;
          p_filter?: string | null;
          p_limit?: number | null;
        };
        Returns: Json;
      };
      pool_fleet_hash: {
        Args: {
          p_pool: string | null;
        };
        Returns: string;
      };
      pool_history: {
        Args: {
          p_pool: string | null;
          p_from: string | null;
          p_worker?: string | null;
          p_after?: string | null;
          p_limit?: number | null;
        };
        Returns: Json;
      };
      pool_line: {
        Args: {
          p_pool: string | null;
          p_types: string[] | null;
          p_most: number | null;
        };
        Returns: {
          id: string;
          since: string;
        }[];
      };
      pool_mark_mass_silence: {
        Args: {
          p_pool: string | null;
          p_lasts: boolean | null;
        };
        Returns: undefined;
      };
      pool_measure: {
        Args: {
          p_pool: string | null;
          p_open: number | null;
          p_fleet_hash: string | null;
          p_full: boolean | null;
          p_every_sec: number | null;
          p_target: JsonInput | null;
          p_known_ms: number | null;
          p_types?: string[] | null;
        };
        Returns: Json;
      };
      pool_note_size: {
        Args: {
          p_pool: string | null;
          p_watch_id: string | null;
          p_desired: number | null;
          p_min: number | null;
          p_max: number | null;
        };
        Returns: undefined;
      };
      pool_observe: {
        Args: {
          p_pool: string | null;
          p_known_fleet: string | null;
          p_full: boolean | null;
          p_poll_sec: number | null;
          p_failure_window_min?: number | null;
          p_spend?: boolean | null;
          p_min_boots?: number | null;
          p_sick_tasks?: number | null;
          p_sick_window_min?: number | null;
          p_sick_proof_min?: number | null;
          p_failures?: boolean | null;
          p_kinds?: boolean | null;
          p_task_types?: string[] | null;
        };
        Returns: Json;
      };
      pool_open: {
        Args: {
          p_pool: string | null;
          p_config?: JsonInput | null;
          p_start?: string | null;
          p_run?: string | null;
          p_should_run?: boolean | null;
          p_woken?: boolean | null;
        };
        Returns: Json;
      };
      pool_queue: {
        Args: {
          p_pool: string | null;
        };
        Returns: {
          open: number;
          held: number;
          blocked: number;
          delayed: number;
          running: number;
          oldest_wait_sec: number;
        };
      };
      pool_reconfigure: {
        Args: {
          p_pool: string | null;
          p_patch: JsonInput | null;
          p_by?: string | null;
        };
        Returns: Json;
      };
      pool_record_decision: {
        Args: {
          p_pool: string | null;
          p_decision_id: string | null;
          p_kind: string | null;
          p_reason: string | null;
          p_details: JsonInput | null;
          p_signals?: JsonInput | null;
          p_watch_id?: string | null;
          p_breaker?: string | null;
          p_breaker_reason?: string | null;
        };
        Returns: undefined;
      };
      pool_set_intent: {
        Args: {
          p_pool: string | null;
          p_kind: string | null;
          p_mode?: string | null;
          p_hold?: number | null;
          p_hold_sec?: number | null;
          p_release_hold?: boolean | null;
        };
        Returns: Json;
      };
      pool_turn_breaker: {
        Args: {
          p_pool: string | null;
          p_state: string | null;
          p_reason: string | null;
          p_decision_id: string | null;
        };
        Returns: boolean;
      };
      pool_undone: {
        Args: {
          p_pool: string | null;
        };
        Returns: Json;
      };
      pool_write_signals: {
        Args: {
          p_pool: string | null;
          p_run: string | null;
          p_batch: JsonInput | null;
        };
        Returns: Json;
      };
      process_beat: {
        Args: {
          p_process: string | null;
          p_host: string | null;
          p_pid: number | null;
          p_version: string | null;
          p_task_queue: string | null;
          p_woken?: string[] | null;
          p_disk_free?: number | null;
        };
        Returns: Json;
      };
      process_end: {
        Args: {
          p_process: string | null;
        };
        Returns: undefined;
      };
      project_is_gated: {
        Args: {
          p_project: string | null;
        };
        Returns: boolean;
      };
      put_back_failures: {
        Args: {
          p_worker_id: string | null;
          p_since_ms: number | null;
        };
        Returns: Json;
      };
      record_minute: {
        Args: {
          p_pool: string | null;
        };
        Returns: boolean;
      };
      refuse_argument: {
        Args: {
          p_argument: string | null;
          p_problem: string | null;
          p_hint?: string | null;
        };
        Returns: undefined;
      };
      refuse_beyond: {
        Args: {
          p_code: string | null;
          p_field: string | null;
          p_problem: string | null;
          p_limit: string | null;
        };
        Returns: undefined;
      };
      register_external_worker: {
        Args: {
          p_worker_id: string | null;
          p_pool: string | null;
          p_token_hash: string | null;
          p_lifetime_sec: number | null;
          p_instance_type?: string | null;
          p_beat_hash?: string | null;
          p_task_types?: string[] | null;
        };
        Returns: Json;
      };
      registration_hint: {
        Args: Record<PropertyKey, never>;
        Returns: string;
      };
      release_task: {
        Args: {
          p_task_id: string | null;
          p_lease_token: string | null;
          p_reason: string | null;
        };
        Returns: Json;
      };
      release_unleased_tasks: {
        Args: {
          p_most: number | null;
        };
        Returns: {
          released: string[];
          delegated: string[];
        };
      };
      remove_external_worker: {
        Args: {
          p_worker_id: string | null;
          p_reason: string | null;
        };
        Returns: Json;
      };
      reopen_tasks: {
        Args: {
          p_ids: string[] | null;
          p_reason: string | null;
          p_worker_id?: string | null;
        };
        Returns: string[];
      };
      repair_tasks: {
        Args: {
          p_limit?: number | null;
          p_dry_run?: boolean | null;
        };
        Returns: Json;
      };
      report_of_break: {
        Args: {
          p_status: string | null;
          p_said: JsonInput | null;
        };
        Returns: string;
      };
      report_progress: {
        Args: {
          p_task_id: string | null;
          p_lease_token: string | null;
          p_progress: number | null;
          p_message?: string | null;
        };
        Returns: Json;
      };
      request_user: {
        Args: Record<PropertyKey, never>;
        Returns: string;
      };
      request_wake: {
        Args: {
          p_secret: string | null;
          p_pool?: string | null;
        };
        Returns: Json;
      };
      request_worker: {
        Args: Record<PropertyKey, never>;
        Returns: string;
      };
      require_exact_numbers: {
        Args: {
          p_field: string | null;
          p_value: JsonInput | null;
        };
        Returns: undefined;
      };
      require_file: {
        Args: {
          p_task_id: string | null;
        };
        Returns: undefined;
      };
      require_file_room: {
        Args: {
          p_task_id: string | null;
          p_attempt: string | null;
          p_bytes: number | null;
        };
        Returns: undefined;
      };
      require_fit_json: {
        Args: {
          p_column: string | null;
          p_value: JsonInput | null;
          p_times?: number | null;
        };
        Returns: undefined;
      };
      require_known_worker: {
        Args: {
          p_argument: string | null;
          p_worker_id: string | null;
        };
        Returns: undefined;
      };
      require_log_room: {
        Args: {
          p_worker_id: string | null;
          p_logs: JsonInput | null;
        };
        Returns: undefined;
      };
      require_own_attempt: {
        Args: {
          p_task_id: string | null;
          p_attempt: number | null;
          p_name: string | null;
        };
        Returns: undefined;
      };
      require_own_file: {
        Args: {
          p_task_id: string | null;
          p_file: JsonInput | null;
          p_path: string | null;
        };
        Returns: undefined;
      };
      require_own_object: {
        Args: {
          p_task_id: string | null;
          p_name: string | null;
        };
        Returns: undefined;
      };
      require_own_urls: {
        Args: {
          p_task_id: string | null;
          p_result: JsonInput | null;
        };
        Returns: undefined;
      };
      require_small_tree: {
        Args: {
          p_task_id: string | null;
          p_field: string | null;
        };
        Returns: undefined;
      };
      require_sub_task: {
        Args: {
          p_parent: string | null;
          p_place: number | null;
          p_task: JsonInput | null;
        };
        Returns: undefined;
      };
      require_task_room: {
        Args: {
          p_project: string | null;
        };
        Returns: undefined;
      };
      require_task_state: {
        Args: {
          p_status: string | null;
          p_gate: string | null;
        };
        Returns: undefined;
      };
      require_task_types: {
        Args: {
          p_argument: string | null;
          p_types: string[] | null;
        };
        Returns: undefined;
      };
      require_tasks_table: {
        Args: {
          p_table_name: string | null;
        };
        Returns: undefined;
      };
      require_token_room: {
        Args: {
          p_user_id: string | null;
        };
        Returns: undefined;
      };
      require_worker: {
        Args: {
          p_worker_id: string | null;
        };
        Returns: undefined;
      };
      require_worker_id: {
        Args: {
          p_argument: string | null;
          p_worker_id: string | null;
        };
        Returns: undefined;
      };
      reserve_pod_job: {
        Args: {
          p_worker_id: string | null;
          p_pool: string | null;
          p_purpose: string | null;
          p_details: JsonInput | null;
          p_timeout_sec: number | null;
          p_instance_type: string | null;
          p_price_usd?: number | null;
          p_max_hourly_usd?: number | null;
          p_daily_usd?: number | null;
          p_no_funds_probe_min?: number | null;
        };
        Returns: Json;
      };
      reserve_workers: {
        Args: {
          p_pool: string | null;
          p_decision_id: string | null;
          p_count: number | null;
          p_max: number | null;
          p_intent_version: number | null;
          p_instance_type: string | null;
          p_max_hourly_usd?: number | null;
          p_daily_usd?: number | null;
          p_no_funds_probe_min?: number | null;
          p_price_usd?: number | null;
          p_task_types?: string[] | null;
        };
        Returns: Json;
      };
      resume_claim: {
        Args: {
          p_held: JsonInput | null;
          p_types: string[] | null;
        };
        Returns: Json;
      };
      retry_task: {
        Args: {
          p_id: string | null;
          p_reason: string | null;
        };
        Returns: Json;
      };
      service_figures: {
        Args: {
          p_pool: string | null;
        };
        Returns: Json;
      };
      set_alert_webhook: {
        Args: {
          p_url: string | null;
          p_format: string | null;
        };
        Returns: undefined;
      };
      set_row_aside: {
        Args: {
          p_subject: string | null;
          p_pool: string | null;
          p_problem: string | null;
          p_sqlstate: string | null;
          p_error: string | null;
        };
        Returns: undefined;
      };
      set_wake_secret: {
        Args: {
          p_secret: string | null;
        };
        Returns: undefined;
      };
      settle_alerts: {
        Args: {
          p_pool: string | null;
          p_kinds: string[] | null;
          p_current: JsonInput | null;
        };
        Returns: undefined;
      };
      settle_dependants: {
        Args: {
          p_task_id: string | null;
          p_how: string | null;
        };
        Returns: string[];
      };
      settle_last_sibling: {
        Args: {
          p_parent: string | null;
        };
        Returns: string;
      };
      settle_parent: {
        Args: {
          p_parent: string | null;
        };
        Returns: string[];
      };
      settle_waiting_siblings: {
        Args: {
          p_most: number | null;
          opened: string[] | null;
          failed: string[] | null;
        };
        Returns: string;
      };
      settle_waiting_tasks: {
        Args: {
          p_most: number | null;
        };
        Returns: {
          opened: string[];
          failed: string[];
        };
      };
      storable_lines: {
        Args: {
          p_lines: JsonInput | null;
        };
        Returns: Json;
      };
      storage_place: {
        Args: {
          p_location: string | null;
        };
        Returns: string[];
      };
      store_logs: {
        Args: {
          p_logs: JsonInput | null;
          p_source_type?: string | null;
          p_source_id?: string | null;
          p_worker_id?: string | null;
        };
        Returns: Json;
      };
      stored_file: {
        Args: {
          p_location: string | null;
          p_path?: string | null;
        };
        Returns: Json;
      };
      stored_task_types: {
        Args: {
          p_types: string[] | null;
        };
        Returns: string[];
      };
      take_back_failures: {
        Args: {
          p_worker_id: string | null;
          p_since: string | null;
          p_task_ids: string[] | null;
        };
        Returns: Json;
      };
      take_turn: {
        Args: {
          p_worker_id: string | null;
        };
        Returns: undefined;
      };
      task_counts: {
        Args: {
          p_run_type?: string | null;
          p_worker_id?: string | null;
        };
        Returns: Json;
      };
      task_stats: {
        Args: {
          p_since: string | null;
          p_pool?: string | null;
          p_project?: string | null;
          p_type?: string | null;
          p_limit?: number | null;
        };
        Returns: Json;
      };
      task_status_named: {
        Args: {
          p_name: string | null;
        };
        Returns: string;
      };
      to_ms: {
        Args: {
          p_at: string | null;
        };
        Returns: number;
      };
      trim_service_times: {
        Args: {
          p_pool: string | null;
        };
        Returns: undefined;
      };
      trusted_output: {
        Args: {
          p_task_id: string | null;
          p_location: string | null;
        };
        Returns: Json;
      };
      types_without_worker: {
        Args: {
          p_pool: string | null;
          p_next: string[] | null;
        };
        Returns: Json;
      };
      unfit_workers: {
        Args: {
          p_pool: string | null;
          p_counted: string[] | null;
        };
        Returns: string[];
      };
      user_has_open_task: {
        Args: {
          p_user_id: string | null;
        };
        Returns: boolean;
      };
      volume_answered: {
        Args: {
          p_name: string | null;
          p_volume_id: string | null;
        };
        Returns: undefined;
      };
      volume_request: {
        Args: {
          p_name: string | null;
          p_settle_sec: number | null;
        };
        Returns: Json;
      };
      waiting_types: {
        Args: {
          p_pool: string | null;
        };
        Returns: string[];
      };
      waits_for_another: {
        Args: {
          p_task_id: string | null;
          p_leases: number | null;
        };
        Returns: string;
      };
      whole_number: {
        Args: {
          p_text: string | null;
        };
        Returns: number;
      };
      with_known_urls: {
        Args: {
          p_result: JsonInput | null;
        };
        Returns: Json;
      };
      worker_add_pod_log: {
        Args: {
          p_worker_id: string | null;
          p_pod_log: JsonInput | null;
        };
        Returns: undefined;
      };
      worker_begin_post: {
        Args: {
          p_worker_id: string | null;
          p_token_hash: string | null;
          p_lifetime_sec: number | null;
          p_beat_hash?: string | null;
          p_place?: JsonInput | null;
          p_max_hourly_usd?: number | null;
        };
        Returns: string;
      };
      worker_boot_stage: {
        Args: {
          p_worker_id: string | null;
          p_stage: string | null;
          p_began_at?: string | null;
          p_within_sec?: number | null;
        };
        Returns: undefined;
      };
      worker_burn_name: {
        Args: {
          p_worker_id: string | null;
          p_reason: string | null;
        };
        Returns: undefined;
      };
      worker_call_limit: {
        Args: Record<PropertyKey, never>;
        Returns: string;
      };
      worker_can_do: {
        Args: {
          p_worker_id: string | null;
          p_task_types: string[] | null;
        };
        Returns: Json;
      };
      worker_delete_failing: {
        Args: {
          p_worker_id: string | null;
          p_message: string | null;
        };
        Returns: undefined;
      };
      worker_deleted: {
        Args: {
          p_worker_id: string | null;
        };
        Returns: number;
      };
      worker_gone: {
        Args: {
          p_worker_id: string | null;
        };
        Returns: Json;
      };
      worker_heartbeat: {
        Args: {
          p_worker_id: string | null;
          p_vram_total_mb?: number | null;
          p_vram_used_mb?: number | null;
        };
        Returns: Json;
      };
      worker_load: {
        Args: {
          p_worker_id: string | null;
        };
        Returns: Json;
      };
      worker_logs: {
        Args: {
          p_worker_id: string | null;
          p_logs: JsonInput | null;
        };
        Returns: Json;
      };
      worker_placement: {
        Args: {
          p_worker_id: string | null;
        };
        Returns: Json;
      };
      worker_rearm_post: {
        Args: {
          p_worker_id: string | null;
          p_reason: string | null;
          p_miss?: JsonInput | null;
        };
        Returns: undefined;
      };
      worker_record_pod: {
        Args: {
          p_worker_id: string | null;
          p_pod_id: string | null;
          p_cost_per_hr_usd: number | null;
          p_created_at: string | null;
          p_adopted: boolean | null;
        };
        Returns: undefined;
      };
      worker_report_boot: {
        Args: {
          p_worker_id: string | null;
          p_stage: string | null;
          p_error?: string | null;
        };
        Returns: Json;
      };
      worker_wants_pod_log: {
        Args: {
          p_worker_id: string | null;
        };
        Returns: boolean;
      };
    };
    Enums: { [none in never]: never };
    CompositeTypes: { [none in never]: never };
  };
}
