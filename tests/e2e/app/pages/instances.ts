// Offers `Datum` and a config to the test, which opens the instances.
import { Datum, type DatumConfig } from "datum-sync";

const config = (more: Partial<DatumConfig> = {}): DatumConfig => ({ name: "one", entities: { task: {} }, remote: session.remote, initialUserId: session.userId, ...more });

const instances = { Datum, config };
declare global {
  interface Window {
    instances: typeof instances;
  }
}
window.instances = instances;
