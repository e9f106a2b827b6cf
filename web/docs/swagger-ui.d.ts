/** What is used of Swagger UI's bundle, which has no types of its own. */
declare module "swagger-ui-dist/swagger-ui-es-bundle.js" {
  /** https://swagger.io/docs/open-source-tools/swagger-ui/usage/configuration/ */
  interface Configuration {
    domNode: HTMLElement;
    spec: object;
    deepLinking: boolean;
    filter: boolean;
    docExpansion: "list" | "full" | "none";
    defaultModelsExpandDepth: number;
    persistAuthorization: boolean;
    validatorUrl: string | null;
    queryConfigEnabled: boolean;
    tryItOutEnabled: boolean;
  }
  export default function SwaggerUI(configuration: Configuration): unknown;
}
