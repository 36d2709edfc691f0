-- A small database with nothing unusual in it, for worlds whose cluster is what is unusual.
CREATE TABLE public.patients (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, born date NOT NULL);
CREATE TABLE public.visits (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    patient integer NOT NULL REFERENCES public.patients,
    came_at timestamptz NOT NULL,
    fee numeric(8, 2) NOT NULL CHECK (fee >= 0)
);
CREATE INDEX ON public.visits (patient, came_at);
INSERT INTO public.patients (name, born) SELECT 'Patient ' || n, '1950-01-01'::date + 37 * n FROM generate_series(1, 300) AS n;
INSERT INTO public.visits (patient, came_at, fee) SELECT 1 + n % 300, '2025-01-01 09:00+00'::timestamptz + n * interval '3 hours', n % 80 FROM generate_series(1, 2000) AS n;
CREATE VIEW public.fees AS SELECT patient, sum(fee) AS total FROM public.visits GROUP BY patient;
