/** A page with nothing but a chat in it. */

import { useState, useSyncExternalStore } from "react";
import { AccessPanel, useAccess } from "../access/AccessPanel.tsx";
import type { Access } from "../access/access.ts";
import { ModelField } from "../access/ModelField.tsx";
import { Masthead } from "../theme/Masthead.tsx";
import { ChatWindow } from "./ChatWindow.tsx";
import type { Conversation } from "./conversation.ts";
import "./page.css";

const SUGGESTIONS = [
  "Why is the sky blue?",
  "Explain server-sent events to a child",
  "Write a haiku about queues",
];

/** Where there is none, the focus would bring up one that covers half of the page. */
const HAS_KEYBOARD = matchMedia("(hover: hover)").matches;

export function ChatPage(props: { access: Access; conversation: Conversation }) {
  const { access, conversation } = props;
  const state = useAccess(access);
  const [model, setModel] = useState(conversation.model ?? "");
  const empty = useSyncExternalStore(
    conversation.subscribe,
    () => conversation.getExchanges().length === 0,
  );
  const choose = (name: string) => {
    setModel(name);
    conversation.model = name || null;
  };
  return (
    <div className="page">
      <Masthead page="Chat" />
      <main className="chat-page">
        <h1 className="visually-hidden">Chat</h1>
        <div className="chat-bar">
          <ModelField value={model} models={state.models} onChange={choose} />
          <AccessPanel access={access} state={state} />
          <button
            type="button"
            className="button quiet small chat-new"
            disabled={empty}
            onClick={() => conversation.clear()}
          >
            New chat
          </button>
        </div>
        <ChatWindow
          conversation={conversation}
          suggestions={SUGGESTIONS}
          autoFocus={HAS_KEYBOARD}
        />
      </main>
    </div>
  );
}
