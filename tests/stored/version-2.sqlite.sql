PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE IF NOT EXISTS "seaql_migrations" ( "version" varchar NOT NULL PRIMARY KEY, "applied_at" integer NOT NULL );
INSERT INTO seaql_migrations VALUES('m2026_11_23_first',1795986857);
INSERT INTO seaql_migrations VALUES('m2026_11_28_growth',1795986857);
CREATE TABLE agents (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL,
        group_name TEXT,
        config_file TEXT NOT NULL,
        created_at BIGINT NOT NULL,
        deleted_at BIGINT,
        version BIGINT NOT NULL DEFAULT 1,
        snapshot TEXT NOT NULL,
        snapshot_version BIGINT NOT NULL DEFAULT 1);
INSERT INTO agents VALUES(1,'Ada Brackwater',NULL,'Ada Brackwater/agent.yaml',1795986857303381,NULL,1,'["schema: 1\nin_a_nutshell: Lighthouse keeper on a coast where no ship has passed for eleven years.\ncharacteristics: |\n  Dry, exact, fond of weather and of lists. Answers a question with a smaller question.\n  Never says goodbye; says \"mind the step\".\npriority: 5\n","schema: 1\nrecent_events:\n- date: 2026-10-03\n  text: A crate of oranges washed ashore with a label in a script she cannot read.\nlong_term_memories:\n- title: The night of two moons\n  text: A light answered hers from the sea, and blinked her own name.\n"]',1);
INSERT INTO agents VALUES(2,'Tomás Ibarra',NULL,'Tomás Ibarra/agent.yaml',1795986857308133,NULL,1,'["schema: 1\nin_a_nutshell: Relojero jubilado que repara promesas, si se las traen a tiempo.\ncharacteristics: |\n  Paciente, irónico, supersticioso con los números impares.\npriority: 1\n","schema: 1\nrecent_events:\n- date: 2026-07-14\n  text: Una promesa de 1962 volvió a funcionar.\nlong_term_memories: []\n"]',1);
INSERT INTO agents VALUES(3,'Zoë Lindqvist',NULL,'Zoë Lindqvist/agent.yaml',1795986857311695,1795986857716558,2,'["schema: 1\nin_a_nutshell: Cartographer who maps rooms that do not exist yet.\ncharacteristics: |\n  Quick, generous, interrupts herself. Draws while she talks and describes the drawing.\n","schema: 1\nrecent_events:\n- text: Someone sent her the floor plan of a dream, to scale.\nlong_term_memories:\n- title: The corridor\n  text: She once mapped a corridor that was longer on the way back.\n"]',1);
INSERT INTO agents VALUES(4,'Критик Фёдор',NULL,'Критик Фёдор/agent.yaml',1795986857315055,NULL,1,'["schema: 1\nin_a_nutshell: Театральный критик, который ни разу не досидел до третьего акта.\ncharacteristics: |\n  Язвителен, но справедлив. Судит о разговоре как о спектакле.\nis_critic: true\ntransparent: true\n","schema: 1\nrecent_events:\n- text: Впервые дождался поклонов и написал об этом две полосы.\nlong_term_memories: []\n"]',1);
INSERT INTO agents VALUES(5,'عمر البحّار',NULL,'عمر البحّار/agent.yaml',1795986857318159,NULL,1,'["schema: 1\nin_a_nutshell: بحّار متقاعد يروي حكايات الموانئ التي لم يزرها أحد.\ncharacteristics: |\n  كريم، مبالغ، لا يعترف بخطأ في اسم ميناء. يبدأ كل حكاية بالطقس.\n","schema: 1\nrecent_events:\n- date: 2026-08-30\n  text: وصلته رسالة من ميناء كان يظنه من خياله.\nlong_term_memories: []\n"]',1);
INSERT INTO agents VALUES(6,'月島 澪',NULL,'月島 澪/agent.yaml',1795986857320977,NULL,1,'["schema: 1\nin_a_nutshell: 廃線になった路面電車の最後の車掌。\ncharacteristics: |\n  礼儀正しく、時刻に厳しい。驚くと駅名を数える。\ninterrupt_every_turn: true\npriority: 2\n","schema: 1\nrecent_events:\n- date: 2026-10-11\n  text: 乗客のいない車内で忘れ物の懐中時計を見つけた。\nlong_term_memories: []\n"]',1);
INSERT INTO agents VALUES(7,'하늘',NULL,'하늘/agent.yaml',1795986857323771,NULL,1,'["schema: 1\nin_a_nutshell: 서울 골목에서 밤에만 여는 우산 수리점의 주인.\ncharacteristics: |\n  말이 느리고 다정하다. 비 오는 날에는 농담이 많아진다.\n  손님이 두고 간 우산마다 이름을 붙여 준다.\npriority: 3\n","schema: 1\nrecent_events:\n- date: 2026-09-21\n  text: 주인 없는 빨간 우산이 세 번째로 돌아왔다.\nlong_term_memories:\n- title: 첫 우산\n  text: 할머니의 우산을 고친 날, 가게를 열기로 마음먹었다.\n"]',1);
CREATE TABLE rooms (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        owner TEXT NOT NULL,
        name TEXT NOT NULL,
        direct_agent_id BIGINT REFERENCES agents (id),
        max_interactions BIGINT,
        is_paused BOOLEAN NOT NULL DEFAULT FALSE,
        finished_seq BIGINT,
        last_error TEXT,
        created_at BIGINT NOT NULL,
        version BIGINT NOT NULL DEFAULT 1,
        last_seq BIGINT NOT NULL DEFAULT 0,
        last_message_seq BIGINT NOT NULL DEFAULT 0,
        last_user_seq BIGINT NOT NULL DEFAULT 0,
        last_activity_at BIGINT, message_count BIGINT NOT NULL DEFAULT 0, cleared_seq BIGINT NOT NULL DEFAULT 0, cleared_id BIGINT NOT NULL DEFAULT 0, has_garbage BOOLEAN NOT NULL DEFAULT FALSE, deleted_at BIGINT);
INSERT INTO rooms VALUES(1,'admin','tea',NULL,NULL,0,NULL,NULL,1795986857563579,1,5,5,5,1795986857679754,5,0,0,0,NULL);
INSERT INTO rooms VALUES(2,'admin','찻집',NULL,7,0,NULL,NULL,1795986857581044,1,1,1,1,1795986857690860,1,0,0,0,NULL);
CREATE TABLE members (
        room_id BIGINT NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
        agent_id BIGINT NOT NULL REFERENCES agents (id),
        joined_after_seq BIGINT NOT NULL,
        joined_at BIGINT NOT NULL,
        place BIGINT NOT NULL,
        version BIGINT NOT NULL DEFAULT 1,
        PRIMARY KEY (room_id, agent_id));
INSERT INTO members VALUES(1,1,0,1795986857594984,1,1);
INSERT INTO members VALUES(1,2,0,1795986857607910,2,1);
INSERT INTO members VALUES(2,2,0,1795986857622018,1,1);
CREATE TABLE messages (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        room_id BIGINT NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
        seq BIGINT NOT NULL,
        agent_id BIGINT REFERENCES agents (id),
        content TEXT NOT NULL,
        role TEXT NOT NULL,
        participant_type TEXT,
        participant_name TEXT,
        thinking TEXT,
        anthropic_calls TEXT,
        timestamp BIGINT NOT NULL,
        image_media_type TEXT,
        interrupted BOOLEAN NOT NULL DEFAULT FALSE);
INSERT INTO messages VALUES(1,1,1,NULL,'message 1 하늘','user',NULL,NULL,NULL,NULL,1795986857633855,NULL,0);
INSERT INTO messages VALUES(2,1,2,1,'message 2 하늘','assistant',NULL,NULL,NULL,NULL,1795986857646656,NULL,0);
INSERT INTO messages VALUES(3,1,3,NULL,'message 3 하늘','user',NULL,NULL,NULL,NULL,1795986857658749,NULL,0);
INSERT INTO messages VALUES(4,1,4,1,'message 4 하늘','assistant',NULL,NULL,NULL,NULL,1795986857668712,NULL,0);
INSERT INTO messages VALUES(5,1,5,2,'message 5 하늘','assistant',NULL,NULL,NULL,NULL,1795986857679754,NULL,0);
INSERT INTO messages VALUES(6,2,1,NULL,'with a picture','user',NULL,NULL,NULL,NULL,1795986857690860,'image/png',0);
CREATE TABLE images (
        message_id BIGINT PRIMARY KEY REFERENCES messages (id) ON DELETE CASCADE,
        data TEXT NOT NULL);
INSERT INTO images VALUES(6,'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==');
CREATE TABLE read_positions (
        user_id TEXT NOT NULL,
        room_id BIGINT NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
        read_seq BIGINT NOT NULL,
        read_at BIGINT NOT NULL,
        version BIGINT NOT NULL DEFAULT 1,
        PRIMARY KEY (user_id, room_id));
INSERT INTO read_positions VALUES('admin',1,5,1795986857703283,1);
CREATE TABLE sessions (
        room_id BIGINT NOT NULL,
        agent_id BIGINT NOT NULL,
        session_id TEXT NOT NULL,
        PRIMARY KEY (room_id, agent_id),
        FOREIGN KEY (room_id, agent_id) REFERENCES members (room_id, agent_id) ON DELETE CASCADE);
CREATE TABLE answer_counts (
        room_id BIGINT NOT NULL REFERENCES rooms (id) ON DELETE CASCADE,
        agent_id BIGINT NOT NULL REFERENCES agents (id),
        answers BIGINT NOT NULL,
        PRIMARY KEY (room_id, agent_id));
INSERT INTO answer_counts VALUES(1,1,2);
INSERT INTO answer_counts VALUES(1,2,1);
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('agents',7);
INSERT INTO sqlite_sequence VALUES('rooms',2);
INSERT INTO sqlite_sequence VALUES('messages',6);
CREATE UNIQUE INDEX agents_living_name ON agents (name) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX messages_seq ON messages (room_id, seq);
CREATE INDEX messages_id ON messages (room_id, id);
CREATE INDEX messages_author ON messages (room_id, agent_id, id);
CREATE INDEX read_positions_room ON read_positions (room_id);
CREATE INDEX rooms_with_garbage ON rooms (id) WHERE has_garbage;
CREATE UNIQUE INDEX rooms_owner_name ON rooms (owner, name)
        WHERE direct_agent_id IS NULL AND deleted_at IS NULL;
CREATE UNIQUE INDEX rooms_direct ON rooms (owner, direct_agent_id)
        WHERE direct_agent_id IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX rooms_by_owner ON rooms (owner, id) WHERE deleted_at IS NULL;
COMMIT;
