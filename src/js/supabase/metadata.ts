import type { Json, SyncMetadata } from "datum-sync";

/** One record a device, as the protocol has it (section 6). */
export interface DeviceRecord {
  deviceId: string;
  lastSyncTime?: string;
  lastSuccessfulSyncTime?: string;
  dataHash?: string;
  entityCounts?: SyncMetadata["entityCounts"];
  syncStatus?: SyncMetadata["syncStatus"];
  conflictCount?: number;
  errorMessage?: string;
  retryCount?: number;
  syncDuration?: number;
  customMetadata?: Record<string, Json>;
}

/** Returns the records of all devices as the one that an adapter keeps: the newest in full, of the others their last success. */
export function merged(userId: string, records: readonly DeviceRecord[]): SyncMetadata | null {
  const time = (record: DeviceRecord) => record.lastSyncTime ?? record.lastSuccessfulSyncTime ?? "";
  const ordered = [...records].sort((a, b) => (time(a) < time(b) ? -1 : 1));
  const newest = ordered.at(-1);
  if (newest === undefined) return null;
  const { deviceId, ...rest } = newest;
  const devices: Record<string, string> = {};
  for (const record of ordered) if (record.lastSuccessfulSyncTime) devices[record.deviceId] = record.lastSuccessfulSyncTime;
  const customMetadata = Object.assign({}, ...ordered.map((record) => record.customMetadata ?? {})) as Record<string, Json>;
  const successes = Object.values(devices).sort();
  const conflictCount = newest.conflictCount ?? 0;
  const metadata: SyncMetadata = {
    entityCounts: {},
    syncStatus: "neverSynced",
    retryCount: 0,
    ...rest,
    userId,
    deviceId,
    devices,
    deviceCount: Object.keys(devices).length,
    conflictCount,
    hasConflicts: conflictCount > 0,
    isNeverSynced: successes.length === 0,
  };
  const latest = successes.at(-1);
  if (latest !== undefined) metadata.lastSuccessfulSyncTime = latest;
  if (Object.keys(customMetadata).length > 0) metadata.customMetadata = customMetadata;
  return metadata;
}

/** Returns the record of the device that `metadata` describes. */
export function ownRecord(metadata: SyncMetadata): DeviceRecord {
  const { userId: _user, devices, deviceCount: _count, isNeverSynced: _never, hasConflicts: _has, deviceId = "", lastSuccessfulSyncTime: _last, ...rest } = metadata;
  const own = devices[deviceId];
  return own === undefined ? { deviceId, ...rest } : { deviceId, ...rest, lastSuccessfulSyncTime: own };
}
