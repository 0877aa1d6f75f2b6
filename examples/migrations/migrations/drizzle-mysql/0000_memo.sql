CREATE TABLE `memo` (
	`id` int AUTO_INCREMENT NOT NULL,
	`text` text NOT NULL,
	CONSTRAINT `memo_id` PRIMARY KEY(`id`)
);
