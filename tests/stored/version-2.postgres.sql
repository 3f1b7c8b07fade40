CREATE TABLE public.agents (
    id bigint NOT NULL,
    name text NOT NULL,
    group_name text,
    config_file text NOT NULL,
    created_at bigint NOT NULL,
    deleted_at bigint,
    version bigint DEFAULT 1 NOT NULL,
    snapshot text NOT NULL,
    snapshot_version bigint DEFAULT 1 NOT NULL
);
ALTER TABLE public.agents ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.agents_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.answer_counts (
    room_id bigint NOT NULL,
    agent_id bigint NOT NULL,
    answers bigint NOT NULL
);
CREATE TABLE public.images (
    message_id bigint NOT NULL,
    data text NOT NULL
);
CREATE TABLE public.members (
    room_id bigint NOT NULL,
    agent_id bigint NOT NULL,
    joined_after_seq bigint NOT NULL,
    joined_at bigint NOT NULL,
    place bigint NOT NULL,
    version bigint DEFAULT 1 NOT NULL
);
CREATE TABLE public.messages (
    id bigint NOT NULL,
    room_id bigint NOT NULL,
    seq bigint NOT NULL,
    agent_id bigint,
    content text NOT NULL,
    role text NOT NULL,
    participant_type text,
    participant_name text,
    thinking text,
    anthropic_calls text,
    "timestamp" bigint NOT NULL,
    image_media_type text,
    interrupted boolean DEFAULT false NOT NULL
);
ALTER TABLE public.messages ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.messages_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.read_positions (
    user_id text NOT NULL,
    room_id bigint NOT NULL,
    read_seq bigint NOT NULL,
    read_at bigint NOT NULL,
    version bigint DEFAULT 1 NOT NULL
);
CREATE TABLE public.rooms (
    id bigint NOT NULL,
    owner text NOT NULL,
    name text NOT NULL,
    direct_agent_id bigint,
    max_interactions bigint,
    is_paused boolean DEFAULT false NOT NULL,
    finished_seq bigint,
    last_error text,
    created_at bigint NOT NULL,
    version bigint DEFAULT 1 NOT NULL,
    last_seq bigint DEFAULT 0 NOT NULL,
    last_message_seq bigint DEFAULT 0 NOT NULL,
    last_user_seq bigint DEFAULT 0 NOT NULL,
    last_activity_at bigint,
    message_count bigint DEFAULT 0 NOT NULL,
    cleared_seq bigint DEFAULT 0 NOT NULL,
    cleared_id bigint DEFAULT 0 NOT NULL,
    has_garbage boolean DEFAULT false NOT NULL,
    deleted_at bigint
);
ALTER TABLE public.rooms ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.rooms_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.seaql_migrations (
    version character varying NOT NULL,
    applied_at bigint NOT NULL
);
CREATE TABLE public.sessions (
    room_id bigint NOT NULL,
    agent_id bigint NOT NULL,
    session_id text NOT NULL
);
INSERT INTO public.agents OVERRIDING SYSTEM VALUE VALUES (1, 'Ada Brackwater', NULL, 'Ada Brackwater/agent.yaml', 1795986858580007, NULL, 1, '["schema: 1\nin_a_nutshell: Lighthouse keeper on a coast where no ship has passed for eleven years.\ncharacteristics: |\n  Dry, exact, fond of weather and of lists. Answers a question with a smaller question.\n  Never says goodbye; says \"mind the step\".\npriority: 5\n","schema: 1\nrecent_events:\n- date: 2026-10-03\n  text: A crate of oranges washed ashore with a label in a script she cannot read.\nlong_term_memories:\n- title: The night of two moons\n  text: A light answered hers from the sea, and blinked her own name.\n"]', 1);
INSERT INTO public.agents OVERRIDING SYSTEM VALUE VALUES (2, 'Tomás Ibarra', NULL, 'Tomás Ibarra/agent.yaml', 1795986858585546, NULL, 1, '["schema: 1\nin_a_nutshell: Relojero jubilado que repara promesas, si se las traen a tiempo.\ncharacteristics: |\n  Paciente, irónico, supersticioso con los números impares.\npriority: 1\n","schema: 1\nrecent_events:\n- date: 2026-07-14\n  text: Una promesa de 1962 volvió a funcionar.\nlong_term_memories: []\n"]', 1);
INSERT INTO public.agents OVERRIDING SYSTEM VALUE VALUES (4, 'Критик Фёдор', NULL, 'Критик Фёдор/agent.yaml', 1795986858594171, NULL, 1, '["schema: 1\nin_a_nutshell: Театральный критик, который ни разу не досидел до третьего акта.\ncharacteristics: |\n  Язвителен, но справедлив. Судит о разговоре как о спектакле.\nis_critic: true\ntransparent: true\n","schema: 1\nrecent_events:\n- text: Впервые дождался поклонов и написал об этом две полосы.\nlong_term_memories: []\n"]', 1);
INSERT INTO public.agents OVERRIDING SYSTEM VALUE VALUES (5, 'عمر البحّار', NULL, 'عمر البحّار/agent.yaml', 1795986858597532, NULL, 1, '["schema: 1\nin_a_nutshell: بحّار متقاعد يروي حكايات الموانئ التي لم يزرها أحد.\ncharacteristics: |\n  كريم، مبالغ، لا يعترف بخطأ في اسم ميناء. يبدأ كل حكاية بالطقس.\n","schema: 1\nrecent_events:\n- date: 2026-08-30\n  text: وصلته رسالة من ميناء كان يظنه من خياله.\nlong_term_memories: []\n"]', 1);
INSERT INTO public.agents OVERRIDING SYSTEM VALUE VALUES (6, '月島 澪', NULL, '月島 澪/agent.yaml', 1795986858600957, NULL, 1, '["schema: 1\nin_a_nutshell: 廃線になった路面電車の最後の車掌。\ncharacteristics: |\n  礼儀正しく、時刻に厳しい。驚くと駅名を数える。\ninterrupt_every_turn: true\npriority: 2\n","schema: 1\nrecent_events:\n- date: 2026-10-11\n  text: 乗客のいない車内で忘れ物の懐中時計を見つけた。\nlong_term_memories: []\n"]', 1);
INSERT INTO public.agents OVERRIDING SYSTEM VALUE VALUES (7, '하늘', NULL, '하늘/agent.yaml', 1795986858604341, NULL, 1, '["schema: 1\nin_a_nutshell: 서울 골목에서 밤에만 여는 우산 수리점의 주인.\ncharacteristics: |\n  말이 느리고 다정하다. 비 오는 날에는 농담이 많아진다.\n  손님이 두고 간 우산마다 이름을 붙여 준다.\npriority: 3\n","schema: 1\nrecent_events:\n- date: 2026-09-21\n  text: 주인 없는 빨간 우산이 세 번째로 돌아왔다.\nlong_term_memories:\n- title: 첫 우산\n  text: 할머니의 우산을 고친 날, 가게를 열기로 마음먹었다.\n"]', 1);
INSERT INTO public.agents OVERRIDING SYSTEM VALUE VALUES (3, 'Zoë Lindqvist', NULL, 'Zoë Lindqvist/agent.yaml', 1795986858590552, 1795986858910607, 2, '["schema: 1\nin_a_nutshell: Cartographer who maps rooms that do not exist yet.\ncharacteristics: |\n  Quick, generous, interrupts herself. Draws while she talks and describes the drawing.\n","schema: 1\nrecent_events:\n- text: Someone sent her the floor plan of a dream, to scale.\nlong_term_memories:\n- title: The corridor\n  text: She once mapped a corridor that was longer on the way back.\n"]', 1);
INSERT INTO public.answer_counts VALUES (1, 1, 2);
INSERT INTO public.answer_counts VALUES (1, 2, 1);
INSERT INTO public.images VALUES (6, 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==');
INSERT INTO public.members VALUES (1, 1, 0, 1795986858776373, 1, 1);
INSERT INTO public.members VALUES (1, 2, 0, 1795986858791960, 2, 1);
INSERT INTO public.members VALUES (2, 2, 0, 1795986858813432, 1, 1);
INSERT INTO public.messages OVERRIDING SYSTEM VALUE VALUES (1, 1, 1, NULL, 'message 1 하늘', 'user', NULL, NULL, NULL, NULL, 1795986858827091, NULL, false);
INSERT INTO public.messages OVERRIDING SYSTEM VALUE VALUES (3, 1, 3, NULL, 'message 3 하늘', 'user', NULL, NULL, NULL, NULL, 1795986858852977, NULL, false);
INSERT INTO public.messages OVERRIDING SYSTEM VALUE VALUES (6, 2, 1, NULL, 'with a picture', 'user', NULL, NULL, NULL, NULL, 1795986858882726, 'image/png', false);
INSERT INTO public.messages OVERRIDING SYSTEM VALUE VALUES (2, 1, 2, 1, 'message 2 하늘', 'assistant', NULL, NULL, NULL, NULL, 1795986858840272, NULL, false);
INSERT INTO public.messages OVERRIDING SYSTEM VALUE VALUES (4, 1, 4, 1, 'message 4 하늘', 'assistant', NULL, NULL, NULL, NULL, 1795986858862977, NULL, false);
INSERT INTO public.messages OVERRIDING SYSTEM VALUE VALUES (5, 1, 5, 2, 'message 5 하늘', 'assistant', NULL, NULL, NULL, NULL, 1795986858873157, NULL, false);
INSERT INTO public.read_positions VALUES ('admin', 1, 5, 1795986858895811, 1);
INSERT INTO public.rooms OVERRIDING SYSTEM VALUE VALUES (1, 'admin', 'tea', NULL, NULL, false, NULL, NULL, 1795986858741792, 1, 5, 5, 5, 1795986858873157, 5, 0, 0, false, NULL);
INSERT INTO public.rooms OVERRIDING SYSTEM VALUE VALUES (2, 'admin', '찻집', NULL, 7, false, NULL, NULL, 1795986858760531, 1, 1, 1, 1, 1795986858882726, 1, 0, 0, false, NULL);
INSERT INTO public.seaql_migrations VALUES ('m2026_11_23_first', 1795986858);
INSERT INTO public.seaql_migrations VALUES ('m2026_11_28_growth', 1795986858);
SELECT pg_catalog.setval('public.agents_id_seq', 1, false);
SELECT pg_catalog.setval('public.messages_id_seq', 6, true);
SELECT pg_catalog.setval('public.rooms_id_seq', 2, true);
ALTER TABLE ONLY public.agents
    ADD CONSTRAINT agents_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.answer_counts
    ADD CONSTRAINT answer_counts_pkey PRIMARY KEY (room_id, agent_id);
ALTER TABLE ONLY public.images
    ADD CONSTRAINT images_pkey PRIMARY KEY (message_id);
ALTER TABLE ONLY public.members
    ADD CONSTRAINT members_pkey PRIMARY KEY (room_id, agent_id);
ALTER TABLE ONLY public.messages
    ADD CONSTRAINT messages_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.read_positions
    ADD CONSTRAINT read_positions_pkey PRIMARY KEY (user_id, room_id);
ALTER TABLE ONLY public.rooms
    ADD CONSTRAINT rooms_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.seaql_migrations
    ADD CONSTRAINT seaql_migrations_pkey PRIMARY KEY (version);
ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_pkey PRIMARY KEY (room_id, agent_id);
CREATE UNIQUE INDEX agents_living_name ON public.agents USING btree (name) WHERE (deleted_at IS NULL);
CREATE INDEX messages_author ON public.messages USING btree (room_id, agent_id, id);
CREATE INDEX messages_id ON public.messages USING btree (room_id, id);
CREATE UNIQUE INDEX messages_seq ON public.messages USING btree (room_id, seq);
CREATE INDEX read_positions_room ON public.read_positions USING btree (room_id);
CREATE INDEX rooms_by_owner ON public.rooms USING btree (owner, id) WHERE (deleted_at IS NULL);
CREATE UNIQUE INDEX rooms_direct ON public.rooms USING btree (owner, direct_agent_id) WHERE ((direct_agent_id IS NOT NULL) AND (deleted_at IS NULL));
CREATE UNIQUE INDEX rooms_owner_name ON public.rooms USING btree (owner, name) WHERE ((direct_agent_id IS NULL) AND (deleted_at IS NULL));
CREATE INDEX rooms_with_garbage ON public.rooms USING btree (id) WHERE has_garbage;
ALTER TABLE ONLY public.answer_counts
    ADD CONSTRAINT answer_counts_agent_id_fkey FOREIGN KEY (agent_id) REFERENCES public.agents(id);
ALTER TABLE ONLY public.answer_counts
    ADD CONSTRAINT answer_counts_room_id_fkey FOREIGN KEY (room_id) REFERENCES public.rooms(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.images
    ADD CONSTRAINT images_message_id_fkey FOREIGN KEY (message_id) REFERENCES public.messages(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.members
    ADD CONSTRAINT members_agent_id_fkey FOREIGN KEY (agent_id) REFERENCES public.agents(id);
ALTER TABLE ONLY public.members
    ADD CONSTRAINT members_room_id_fkey FOREIGN KEY (room_id) REFERENCES public.rooms(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.messages
    ADD CONSTRAINT messages_agent_id_fkey FOREIGN KEY (agent_id) REFERENCES public.agents(id);
ALTER TABLE ONLY public.messages
    ADD CONSTRAINT messages_room_id_fkey FOREIGN KEY (room_id) REFERENCES public.rooms(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.read_positions
    ADD CONSTRAINT read_positions_room_id_fkey FOREIGN KEY (room_id) REFERENCES public.rooms(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.rooms
    ADD CONSTRAINT rooms_direct_agent_id_fkey FOREIGN KEY (direct_agent_id) REFERENCES public.agents(id);
ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_room_id_agent_id_fkey FOREIGN KEY (room_id, agent_id) REFERENCES public.members(room_id, agent_id) ON DELETE CASCADE;
