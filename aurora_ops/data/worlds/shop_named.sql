-- A third database of the world "shop": what matters of it is its own name, which has spaces, a percent sign, both quotes and kanji.
CREATE TABLE public.記録 (id bigserial PRIMARY KEY, 内容 text NOT NULL);
INSERT INTO public.記録 (内容) SELECT '行 ' || n FROM generate_series(1, 10) AS n;
CREATE TABLE public.empty (id integer);
