import { createRoot } from "react-dom/client";
import "../theme/theme.css";
import { Access } from "../access/access.ts";
import { showTheme } from "../theme/theme.ts";
import { ChatPage } from "./ChatPage.tsx";
import { Conversation } from "./conversation.ts";
import { GatewayTransport } from "./gateway.ts";
import { Keeper, sessionStore } from "./keeper.ts";

showTheme();
const access = new Access();
const keeper = new Keeper(sessionStore(), "gateway:chat");
const conversation = new Conversation(new GatewayTransport(access.options), keeper);

createRoot(document.getElementById("root") as HTMLElement).render(
  <ChatPage access={access} conversation={conversation} />,
);
